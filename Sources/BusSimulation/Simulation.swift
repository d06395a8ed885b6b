// A seeded world around the real broker: peers that keep to the protocol or don't, connections that block, drain or
// vanish, time that passes when nobody does anything. After every input the model must be able to explain every
// effect; after every round the broker's own books must be right; at the end nothing may be left.
//
// In three lines: pick an action by weight; hand its inputs to broker and model; check. Everything follows from the
// seed, so a failure is a number.

import BusBroker
import BusWire

/// One run of a seeded world.
public struct Simulation {
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
            throw SimulationFailure(seed: seed, step: world.stepNumber, message: error.message,
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

/// Broker, model, clocks and chance.
final class World {
    let broker: Broker
    let model: Model
    let knobs: SimulationKnobs
    var chance: SplitMix64
    var stepNumber = 0
    var trace: [String] = []
    var nextSession: UInt64 = 1
    var nextRequest: UInt32 = 1
    var nextBatch: UInt64 = 1
    /// Seals whose key the runner derives when the round is over.
    private var orders: [SealOrder] = []
    /// Whether the broker asked for a round after an input since the last one.
    private var askedForRound = false

    init(seed: UInt64, steps: Int) {
        chance = SplitMix64(seed: seed)
        knobs = SimulationKnobs(&chance, steps: steps)
        broker = Broker(
            configuration: knobs.configuration, incarnation: BusUUID(high: 1, low: seed), firstSeal: 1)
        model = Model(configuration: knobs.configuration, isTight: knobs.isTight)
        model.now = Moment(monotonic: 1_000_000_000, wall: 1_700_000_000_000_000)
    }

    func step() throws(Violation) {
        stepNumber += 1
        guard model.stoppedCount == 0 else { return }  // a stopped daemon is asked nothing more
        if knobs.shutdownStep == stepNumber { try handle(.shutdown) }
        try act(chance.pick(knobs.actions))
        // Who may be parked is looked at before anybody else can act: the model can't know it any other way.
        if !model.parked.isEmpty || chance.chance(50) { try endRound() }
    }

    /// Gives an input to both and checks what comes out.
    func handle(_ input: Input) throws(Violation) {
        note("\(input)")
        try model.note(input)
        broker.handle(input, at: model.now)
        askedForRound = askedForRound || broker.needsRound
        try absorb(except: input)
    }

    /// The same for a publish, whose content the model must know.
    func send(_ publish: Publish, _ batch: SampleBatch, from session: ModelSession) throws(Violation) {
        note("\(session.id) publishes \(publish.number)\(publish.retains ? " retaining" : "")\(publish.isRequest ? " request" : "")\(publish.hasMore ? " more" : ""): \(batch)")
        model.send(publish, batch, from: session)
        let input = Input.received(session.id, .publish(publish))
        broker.handle(input, at: model.now)
        try absorb(except: input)
    }

    /// The same for a will; nil takes it back.
    func leave(_ will: Will, _ batch: SampleBatch?, _ session: ModelSession) throws(Violation) {
        note("\(session.id) leaves a will: \(batch.map { "\($0)" } ?? "none")")
        model.note(will, batch, session)
        let input = Input.received(session.id, .will(will))
        broker.handle(input, at: model.now)
        try absorb(except: input)
    }

    private func absorb(except input: Input?) throws(Violation) {
        var effects: [Effect] = []
        while let effect = broker.nextEffect() {
            note("    \(effect)")
            effects.append(effect)
            if case .openSeal(let order) = effect { orders.append(order) }
        }
        try model.absorb(effects) { broker.progress(of: $0) }
        switch input {
        case .received(let id, _), .malformed(let id, _), .drained(let id), .connected(let id, _):
            try model.checkAnswered(id)
        default: break
        }
    }

    /// Ends a round and does what a runner then does: derives keys, writes, and tells what the kernel took.
    func endRound() throws(Violation) {
        note("end of round")
        broker.endRound(at: model.now)
        try absorb(except: nil)
        try model.checkRound()
        if let fault = broker.audit().first { throw Violation("audit: \(fault)") }
        try checkDeadline()
        askedForRound = false
        for order in orders {
            let keyCheck = [UInt8](repeating: UInt8(truncatingIfNeeded: order.seal), count: 16)
            try handle(.sealDerived(seal: order.seal, session: order.session, keyCheck: keyCheck))
        }
        orders = []
        for session in model.sessionsInOrder where session.isDirty && !session.isBlocked {
            if session.phase != .closed, chance.chance(knobs.blockPercent) {
                try handle(.blocked(session.id))
            } else if !isDeaf(session), chance.chance(knobs.drainPercent) {
                try handle(.drained(session.id))
            }
        }
        for session in model.sessionsInOrder where session.phase == .closed && chance.chance(50) {
            try handle(.disconnected(session.id))
        }
        try checkRoundIsAskedFor()
    }

    /// Handles an input that comes behind a round.
    func handleAfterRound(_ input: Input) throws(Violation) {
        try handle(input)
        try checkRoundIsAskedFor()
    }

    /// What happens behind a round makes another only where the broker asks for one: else it must need none.
    private func checkRoundIsAskedFor() throws(Violation) {
        guard !askedForRound else { return }
        broker.endRound(at: model.now)
        if let effect = broker.nextEffect() { throw Violation("asked for no round, and had \(effect) to do") }
    }

    /// A runner that sleeps until `nextDeadline` must not sleep through one, nor wake for one that is over.
    private func checkDeadline() throws(Violation) {
        guard let deadline = broker.nextDeadline else { return }
        try expect(deadline > model.now.monotonic, "asks to be called at \(deadline), which is over")
    }

    func advance(_ nanoseconds: UInt64) throws(Violation) {
        model.now.monotonic += nanoseconds
        // The wall clock may stand still or go back; the topic's time must not.
        model.now.wall += Int64(nanoseconds / 1000) * Int64(chance.within(-1...2))
        note("time \(model.now.monotonic)")
        try endRound()
    }

    /// Everybody goes, in any order, and nothing may be left.
    func end() throws(Violation) {
        stepNumber += 1
        try endRound()
        while let session = chance.pickAny(model.sessionsInOrder) {
            try handle(.disconnected(session.id))
            if chance.chance(30) { try endRound() }
        }
        try endRound()
        try expect(broker.isIdle, "everybody is gone and something is still held")
        try expect(!model.isDraining || model.stoppedCount == 1, "stopped \(model.stoppedCount) times")
        // Topics are remembered a while longer.
        model.now.monotonic += knobs.configuration.topicIdleTime
        try endRound()
        try expect(broker.nextDeadline == nil || model.isDraining, "everybody is gone and a deadline is left")
    }

    /// The last things that happened, for a failure's description.
    private func note(_ text: @autoclosure () -> String) {
        guard isTracing else { return }
        let plain = text().replacing("BusWire.", with: "").replacing("BusBroker.", with: "").replacing("Frame.", with: "")
        trace.append(String(plain.prefix(400)))
        if trace.count > 3000 { trace.removeFirst(20) }
    }

    var isTracing = false
}
