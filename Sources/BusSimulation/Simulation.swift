// A seeded world around the real broker: peers that keep to the protocol or don't, connections that block, drain or
// vanish, time that passes when nobody does anything. After every input the model must be able to explain every
// effect; after every round the broker's own books must be right; at the end nothing may be left.
//
// In three lines: pick an action by weight; hand its inputs to broker and model; check. Everything follows from the
// seed, so a failure is a number.

import BusBroker
import BusWire

/// Which world.
public enum SimulationKind: String, Sendable, CaseIterable {
    /// Topics that are live, and everything around them.
    case live
    /// Topics that are durable: with a store, and a daemon that may die at any moment.
    case durable
}

/// A world that follows from a seed.
protocol SeededWorld: AnyObject {
    var stepNumber: Int { get }
    var tally: SimulationTally { get }
    /// What was done, and what came of it, where somebody wants to see it.
    var trace: [String] { get }
    var isTracing: Bool { get set }
    func step() throws(Violation)
    /// Everybody goes, and nothing may be left.
    func end() throws(Violation)
}

/// One run of a seeded world.
public struct Simulation: Sendable {
    private let kind: SimulationKind
    private let seed: UInt64
    private let steps: Int

    /// A run from `seed` of `steps` steps; a step is one action and often one round.
    public init(_ kind: SimulationKind = .live, seed: UInt64, steps: Int = 1500) {
        self.kind = kind
        self.seed = seed
        self.steps = steps
    }

    private func makeWorld() -> any SeededWorld {
        switch kind {
        case .live: World(seed: seed, steps: steps)
        case .durable: DurableWorld(seed: seed, steps: steps)
        }
    }

    /// Runs the world and says how often what happened in it.
    @discardableResult
    public func run() throws(SimulationFailure) -> SimulationTally {
        do throws(SimulationFailure) {
            return try run(isTracing: false)
        } catch {
            // Once more with a trace, which would cost most of the time if it were always written.
            return try run(isTracing: true)
        }
    }

    private func run(isTracing: Bool) throws(SimulationFailure) -> SimulationTally {
        let world = makeWorld()
        world.isTracing = isTracing
        do throws(Violation) {
            for _ in 0..<steps { try world.step() }
            try world.end()
        } catch {
            throw SimulationFailure(
                kind: kind, seed: seed, step: world.stepNumber, message: error.message, trace: world.trace)
        }
        return world.tally
    }

    /// The failure of the same kind with the fewest steps that this seed leads to, given one; the end of a run can bring
    /// to light earlier what a longer run shows late.
    public func shortest(_ failure: SimulationFailure) -> SimulationFailure {
        var (shortest, passing, failing) = (failure, 0, failure.step)
        while passing + 1 < failing {
            let middle = (passing + failing) / 2
            do throws(SimulationFailure) {
                try Simulation(kind, seed: seed, steps: middle).run()
                passing = middle
            } catch {
                guard error.gist == failure.gist else {
                    passing = middle
                    continue
                }
                shortest = error
                failing = middle
            }
        }
        return shortest
    }
}
