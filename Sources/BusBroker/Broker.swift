// Decides: who may, who gets it, in what order, how much may wait, what is recorded. Pure: no socket, file, clock,
// task or lock.
//
// The contract: `handle(_:at:)` for everything that happens, `endRound(at:)` when a round of inputs is over, then
// drain `nextEffect()` and carry the effects out in their order; call again at `nextDeadline`. Effects are facts to
// carry out, never questions. A round is whatever the runner read together: receipts and what they allow leave at
// its end, so that their cost is per round and not per event.
//
// One broker lives on one reactor, hence no synchronisation. Its files: sessions and admission, seals and
// publishing, subscriptions, delivery, stalling, inspection.

public import BusWire
import DequeModule

/// The bus's decisions, driven by inputs and time.
public final class Broker {
    let configuration: BrokerConfiguration
    let incarnation: BusUUID

    var sessions: [SessionID: Session] = [:]
    var accounts: [UInt32: Account] = [:]
    var topics: [Topic: TopicState] = [:]
    let filters = FilterTrie()
    var salts: SaltHistory

    /// Sessions with receipts or progress to tell at the end of the round.
    var unreceipted: [Session] = []
    /// Sessions that wait for their progress without hurry, in the order of their deadlines; some may have been told.
    var patient: Deque<(deadline: Moment.Nanoseconds, session: SessionID)> = []
    /// Subscriptions that stall their publishers now, or did until their time was over, by serial.
    var stalling: [UInt64: Subscription] = [:]
    /// Sessions with publishes that wait for a stalled subscription, oldest first.
    var parked: [Session] = []
    /// Whether a stall ended since parked publishes were last looked at.
    var mayResume = false
    /// Whether a session that receipts were kept back from can be told now.
    var mayTell = false
    /// Peers that haven't said hello, in the order of their deadlines.
    var greetings: Deque<(deadline: Moment.Nanoseconds, session: SessionID)> = []
    var draining: Drain?

    var nextSeal: UInt64
    var nextSubscriptionSerial: UInt64 = 0
    var nextTopicNumber: UInt32 = 0
    var totals = Totals()
    private var effects: Deque<Effect> = []

    /// A broker without sessions.
    ///
    /// - Parameters:
    ///   - configuration: limits and who is admitted.
    ///   - incarnation: which life of the daemon this is; sequences of live topics count within it.
    ///   - firstSeal: the first seal number to give out; its owner keeps them unique for the life of the store.
    public init(configuration: BrokerConfiguration, incarnation: BusUUID, firstSeal: UInt64) {
        self.configuration = configuration
        self.incarnation = incarnation
        nextSeal = firstSeal
        salts = SaltHistory(countMax: configuration.saltHistoryCountMax)
    }

    /// Takes note of something that happened. Effects follow from `nextEffect()`.
    public func handle(_ input: Input, at now: Moment) {
        switch input {
        case .connected(let id, let peer): connect(id, peer, at: now)
        case .authenticated(let id, let name): authenticate(id, name: name)
        case .received(let id, let frame): receive(frame, from: id, at: now)
        case .malformed(let id, let error): refuse(id, error)
        case .drained(let id): drained(id, at: now)
        case .blocked(let id): sessions[id]?.isBlocked = true
        case .disconnected(let id): disconnect(id)
        case .sealDerived(let seal, let session, let keyCheck): sealDerived(seal, session, keyCheck)
        case .sealFailed(let seal, let session): sessions[session]?.seals[seal] = nil
        case .shutdown: beginDrain(at: now)
        }
    }

    /// Ends a round: tells receipts, goes on with publishes that no longer have to wait, and runs what is due.
    public func endRound(at now: Moment) {
        expire(at: now)
        resumeParked(at: now)
        tellReceipts()
        finishDrain(at: now)
    }

    /// The next thing to carry out, in order; nil when there is nothing more for now.
    public func nextEffect() -> Effect? { effects.popFirst() }

    /// When `endRound` must be called even if nothing happens, on the monotonic clock; nil for never.
    public var nextDeadline: Moment.Nanoseconds? {
        let stalls = stalling.values.lazy.compactMap(\.stallDeadline).min() ?? .max
        let drain = draining.map { $0.isClosing ? .max : $0.deadline } ?? .max
        let first = min(greetings.first?.deadline ?? .max, patient.first?.deadline ?? .max, stalls, drain)
        return first == .max ? nil : first
    }

    /// Whether a round should end soon although nothing new may happen: there are effects, publishes that may go on,
    /// receipts that may be told, or a shutdown to finish.
    public var needsRound: Bool { !effects.isEmpty || mayResume || mayTell || draining != nil }

    func emit(_ effect: Effect) { effects.append(effect) }

    private func expire(at now: Moment) {
        while let first = greetings.first, first.deadline <= now.monotonic {
            greetings.removeFirst()
            guard let session = sessions[first.session], session.phase == .greeting else { continue }
            let seconds = configuration.helloTimeout / 1_000_000_000
            close(session, .helloTimeout, "no hello within \(seconds) s of connecting")
        }
        expirePatience(at: now)
        expireStalls(at: now)
    }
}
