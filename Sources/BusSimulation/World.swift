// A broker, the model it is checked against, and what surrounds both.

import BusBroker
import BusWire

/// Broker, model, clocks and chance.
final class World: SeededWorld {
    let broker: Broker
    let model: Model
    let knobs: SimulationKnobs
    var chance: SplitMix64
    var stepNumber = 0
    var nextSession: UInt64 = 1
    var nextRequest: UInt32 = 1
    var nextBatch: UInt64 = 1
    /// What each session asked, to ask it again.
    var asked: [SessionID: [BusUUID]] = [:]
    /// Ids that were published, to be published again.
    var sent: [SentIDs] = []
    /// Seals whose key the runner derives when the round is over.
    var orders: [SealOrder] = []
    /// Whether the broker asked for a round after an input since the last one.
    var askedForRound = false
    /// What was noted, and in the end what the model takes for open.
    var trace: [String] { notes + model.lines }
    var tally: SimulationTally { model.tally }
    private var notes: [String] = []
    var isTracing = false

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
        if isTracing, model.note == nil { model.note = { [unowned self] in note($0) } }
        note("\(input)")
        try model.note(input)
        try hand(input)
    }

    /// The same for a publish, whose content the model must know.
    func send(_ publish: Publish, _ batch: SampleBatch, from session: ModelSession) throws(Violation) {
        let flags =
            (publish.retains ? " retaining" : "") + (publish.isTombstone ? " tombstone" : "")
            + (publish.isRequest ? " request" : "") + (publish.hasMore ? " more" : "")
            + (publish.isAgain ? " again, ids from \(batch.firstID)" : "")
        note("\(session.id) publishes \(publish.number)\(flags): \(batch)")
        model.send(publish, batch, from: session)
        try hand(.received(session.id, .publish(publish)))
    }

    /// The same for a will; nil takes it back.
    func leave(_ will: Will, _ batch: SampleBatch?, _ session: ModelSession) throws(Violation) {
        note("\(session.id) leaves a will: \(batch.map { "\($0)" } ?? "none")")
        model.note(will, batch, session)
        try hand(.received(session.id, .will(will)))
    }

    private func hand(_ input: Input) throws(Violation) {
        broker.handle(input, at: model.now)
        askedForRound = askedForRound || broker.needsRound
        try absorb(isRound: false)
        try model.checkWords()
        switch input {
        case .received(let id, _), .malformed(let id, _), .drained(let id), .connected(let id, _):
            try model.checkAnswered(id)
        default: break
        }
    }

    /// Checks everything the broker has to do, and does the part of it that comes back at once.
    func absorb(isRound: Bool) throws(Violation) {
        var effects: [Effect] = []
        while let effect = broker.nextEffect() {
            note("    \(effect)")
            effects.append(effect)
            if case .openSeal(let order) = effect { orders.append(order) }
        }
        try model.absorb(effects, isRound: isRound) { broker.progress(of: $0) }
        // What follows from one of these is known before the next.
        for effect in effects where try publishOwn(effect) { try absorb(isRound: false) }
    }

    /// The last things that happened, for a failure's description.
    func note(_ text: @autoclosure () -> String) {
        guard isTracing else { return }
        var plain = text()
        for room in ["BusWire.", "BusBroker.", "Frame."] { plain = plain.replacing(room, with: "") }
        notes.append(String(plain.prefix(400)))
        if notes.count > 30000 { notes.removeFirst(20) }
    }
}
