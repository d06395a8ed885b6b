// A seeded world around the real broker: peers that keep to the protocol or don't, connections that block, drain or
// vanish, time that passes when nobody does anything. After every input the model must be able to explain every
// effect; after every round the broker's own books must be right; at the end nothing may be left.
//
// In three lines: pick an action by weight; hand its inputs to broker and model; check. Everything follows from the
// seed, so a failure is a number.

import BusBroker
import BusWire

/// One run of a seeded world.
public struct Simulation: Sendable {
    private let seed: UInt64
    private let steps: Int

    /// A run from `seed` of `steps` steps; a step is one action and often one round.
    public init(seed: UInt64, steps: Int = 1500) {
        self.seed = seed
        self.steps = steps
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
        let world = World(seed: seed, steps: steps)
        world.isTracing = isTracing
        do throws(Violation) {
            for _ in 0..<steps { try world.step() }
            try world.end()
        } catch {
            throw SimulationFailure(
                seed: seed, step: world.stepNumber, message: error.message,
                trace: world.trace + world.model.lines)
        }
        return world.model.tally
    }

    /// The failure with the fewest steps that this seed leads to, given one; the end of a run can bring to light
    /// earlier what a longer run shows late.
    public func shortest(_ failure: SimulationFailure) -> SimulationFailure {
        var (shortest, passing, failing) = (failure, 0, failure.step)
        while passing + 1 < failing {
            let middle = (passing + failing) / 2
            do throws(SimulationFailure) {
                try Simulation(seed: seed, steps: middle).run()
                passing = middle
            } catch {
                shortest = error
                failing = middle
            }
        }
        return shortest
    }
}
