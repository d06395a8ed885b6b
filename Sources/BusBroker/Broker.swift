// Decides: who may, who gets it, in what order, how much may wait, what is recorded. Pure: no socket, file, clock,
// task or lock.
//
// The contract: `handle(_:at:)` for everything that happens, `endRound(at:)` when a round of inputs is over, then
// drain `nextEffect()` and carry the effects out in their order; call again at `nextDeadline`. Effects are facts to
// carry out, never questions. A round is whatever the runner read together: receipts, what groups are handed, and what
// is said of sessions that are gone leave at its end, so that their cost is per round and not per event.
//
// One broker lives on one reactor, hence no synchronisation. Its files, an idea each: sessions, seals and publishing,
// subscriptions, groups, delivery, overflow, stalling, requests, last values, wills and what the daemon itself tells,
// forgetting, inspection.

public import BusWire
import DequeModule
import HeapModule

/// The bus's decisions, driven by inputs and time.
public final class Broker {
    let configuration: BrokerConfiguration
    let incarnation: BusUUID
    /// The time of the input or round under way.
    private(set) var now = Moment(monotonic: 0, wall: 0)

    var sessions: [SessionID: Session] = [:]
    var accounts: [UInt32: Account] = [:]
    var rates = RatesOfUsers()
    var recentIDs = RecentIDsOfUsers()
    var topics: [Topic: TopicState] = [:]
    let filters = FilterTrie()
    var groups: [GroupKey: Subscription] = [:]
    var salts: SaltHistory
    /// Topics with a last value, by their number.
    var retaining: [UInt64: TopicState] = [:]
    /// Topics that became idle, in the order in which they may be forgotten; some may be in use again, or gone.
    var idleTopics: Deque<(deadline: Moment.Nanoseconds, topic: TopicState)> = []

    /// Sessions with receipts or progress to tell at the end of the round.
    var unreceipted: [Session] = []
    /// Sessions that wait for their progress without hurry, in the order of their deadlines; some may have been told.
    var patient: Deque<(deadline: Moment.Nanoseconds, session: SessionID)> = []
    /// Groups whose queues are to be handed out at the end of the round.
    var unsettled: [Subscription] = []
    /// Users with members that wait for something to be acknowledged, and of which something was.
    var relieved: [Account] = []
    /// Sessions that are gone, each with what is to be published of it at the end of the round.
    var departures: [Departure] = []
    /// Sessions that came, to be told at the end of the round.
    var arrivals: [Advisory] = []
    /// Dead letters that are on disk, to be told of at the end of the round.
    var buried: [DeadLetterWord] = []
    /// Topics of the daemon's own.
    var ownTopics: [Topic: OwnTopic] = [:]
    /// Which of them its seals are of.
    var ownSeals: [UInt64: Topic] = [:]
    /// Subscriptions that stall their publishers now, or did until their time was over, by serial.
    var stalling: [UInt64: Subscription] = [:]
    /// When their time is over; some are over already.
    var stallDeadlines = Heap<StallDeadline>()
    /// Sessions with publishes that wait for a stalled subscription, oldest first.
    var parked: [Session] = []
    /// Whether a stall ended since parked publishes were last looked at.
    var mayResume = false
    /// Whether a session that receipts were kept back from can be told now.
    var mayTell = false
    /// Peers that haven't said hello, in the order of their deadlines.
    var greetings: Deque<(deadline: Moment.Nanoseconds, session: SessionID)> = []
    var draining: Drain?
    /// The store; nil where there is none, and no topic is durable.
    var storage: Storage?
    /// What things grow old by.
    private var clock: AgeClock?

    var nextSeal: UInt64
    var nextSubscriptionSerial: UInt64 = 0
    /// From 1: 0 is no incarnation.
    var nextTopicNumber: UInt64 = 1
    var nextRetainedIndex: UInt64 = 0
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
        self.now = now
        switch input {
        case .connected(let id, let peer): connect(id, peer)
        case .authenticated(let id, let name): authenticate(id, name: name)
        case .received(let id, let frame): receive(frame, from: id)
        case .malformed(let id, let error): refuse(id, error)
        case .drained(let id): drained(id)
        case .blocked(let id): sessions[id]?.isBlocked = true
        case .disconnected(let id): disconnect(id)
        case .sealDerived(let seal, let session, let keyCheck): sealDerived(seal, session, keyCheck)
        case .sealFailed(let seal, let session): sealFailed(seal, session)
        case .ownSealOpened(let seal, let salt, let keyCheck): ownSealOpened(seal, salt: salt, keyCheck: keyCheck)
        case .ownSealFailed(let seal): ownSealFailed(seal)
        case .advised(let seal, let batch): advised(seal, batch)
        case .stored(let commit): committed(commit)
        case .storeRead(let page): took(page)
        case .storeReadDue(let page): took(page)
        case .storeFound(let number, let cursor): found(number, cursor)
        case .retained(let topic, let position, let time): retained(topic, before: position, firstTime: time)
        case .administered(let id, let request, let outcome): administered(id, request, outcome)
        case .deadTrimmed(let letters): forget(letters)
        case .inspected(let id, let request, let rows, let after): inspected(id, request, rows, after)
        case .shutdown: beginDrain()
        }
    }

    /// Ends a round: publishes what is to be said of who came and went and of dead letters, goes on with publishes that no longer have to
    /// wait, hands groups their events, tells receipts, and runs what is due.
    public func endRound(at now: Moment) {
        self.now = now
        expire()
        publishDepartures()
        tellOfDeadLetters()
        resumeParked()
        settleGroups()
        // Who was handed what waited can make publishers go on, whose events then wait for a group.
        while mayResume {
            resumeParked()
            settleGroups()
        }
        readHungry()
        tellReceipts()
        saveDue()
        finishDrain()
        // Groups whose members were closed together have nobody left to be handed anything.
        settleGroups()
    }

    /// The next thing to carry out, in order; nil when there is nothing more for now.
    public func nextEffect() -> Effect? { effects.popFirst() }

    /// When `endRound` must be called even if nothing happens, on the monotonic clock; nil for never.
    public var nextDeadline: Moment.Nanoseconds? {
        let stalls = stallDeadlines.min?.deadline ?? .max
        let drain = draining.map { $0.isClosing ? .max : $0.deadline } ?? .max
        let storage = min(
            self.storage?.saveDeadline ?? .max, self.storage?.timers.min?.deadline ?? .max,
            self.storage?.sweepDeadline ?? .max, self.storage?.schedule.deadline ?? .max)
        let first = min(
            greetings.first?.deadline ?? .max, patient.first?.deadline ?? .max, idleTopics.first?.deadline ?? .max,
            stalls, drain, storage)
        return first == .max ? nil : first
    }

    /// Whether a round should end soon although nothing new may happen: there are effects, publishes that may go on,
    /// receipts that may be told, groups to be handed what waits, word of who came and went or of dead letters, or a
    /// shutdown to finish.
    public var needsRound: Bool { !effects.isEmpty || isUnfinished || draining != nil }

    /// Whether what came after the round's end, as answers to its effects, left something that only a round does.
    public var isUnfinished: Bool {
        mayResume || mayTell || !unsettled.isEmpty || !relieved.isEmpty || !departures.isEmpty || !arrivals.isEmpty
            || !buried.isEmpty
    }

    func emit(_ effect: Effect) { effects.append(effect) }

    /// What the store held is taken up at this time.
    func begin(at moment: Moment, age: Int64) {
        now = moment
        clock = AgeClock(at: Moment(monotonic: moment.monotonic, wall: age))
    }

    /// The time by which things grow old, microseconds since 1970: no step of the clock makes anything old early.
    public var ageTime: Int64 {
        var clock = clock ?? AgeClock(at: now)
        clock.advance(to: now)
        self.clock = clock
        return clock.now
    }

    private func expire() {
        while let first = greetings.first, first.deadline <= now.monotonic {
            greetings.removeFirst()
            guard let session = sessions[first.session], session.phase == .greeting else { continue }
            let seconds = configuration.helloTimeout / 1_000_000_000
            close(session, .helloTimeout, "no hello within \(seconds) s of connecting")
        }
        expirePatience()
        expireStalls()
        forgetIdleTopics()
        lookAtDue()
        lookForDue()
        sweep()
    }
}
