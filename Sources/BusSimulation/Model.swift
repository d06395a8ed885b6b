// What a user of the bus may expect, kept as plainly as it can be said: every accepted event is appended to the list
// `owed` of every subscription and group that matches it, and what the broker then does must be explained by these
// lists. There is no trie, cache, charge or round in here, and nothing is fast.
//
// The model learns from the broker only how far each session's publishes are (`progress`), and says itself what must
// have become of them. Its files: inputs, publishing, effects, delivery, gaps, groups, requests, last values, rounds.

import BusBroker
import BusWire

/// What is promised, given what happened so far.
final class Model {
    let configuration: BrokerConfiguration
    /// Whether a user's bytes may run out, which may drop anything anywhere: then only counts, order and gaps hold.
    let isTight: Bool
    var sessions: [SessionID: ModelSession] = [:]
    var topics: [Topic: ModelTopic] = [:]
    /// What each user published within the last second, where that is limited.
    var published: [UInt32: [(time: UInt64, count: Int)]] = [:]
    /// The same, with what was refused.
    var attempts: [UInt32: [(time: UInt64, count: Int)]] = [:]
    /// Topics that had a life before.
    var reborn: Set<Topic> = []
    /// Lives of topics that were told of.
    var incarnations: Set<UInt64> = []
    var groups: [ModelStream] = []
    /// How many batches were accepted.
    var acceptedCount = 0
    var totals = ModelTotals()
    /// Sessions whose publishes wait, in the order in which they began to.
    var parked: [ModelSession] = []
    /// How many publishes were accepted with the effects under way, somewhere between those that are still to be checked.
    var unsettledCount = 0
    /// Streams that something was accepted for last, whose policy is applied once its deliveries are known.
    var filling: [ModelStream] = []
    /// The daemon's own seals: asked for, and usable.
    var ownSealTopics: [UInt64: Topic] = [:]
    var ownSeals: [UInt64: ModelSeal] = [:]
    /// Topics that it can't publish on until it asks for a seal again.
    var mutedTopics: Set<Topic> = []
    /// What the daemon has to say of who comes and goes.
    var advisories: [OwedAdvisory] = []
    let openedTopic: Topic
    let closedTopic: Topic
    /// Wills of sessions that are gone, to be accepted now.
    var wills: [ModelWill] = []
    /// The effects being checked.
    var effects: [Effect] = []
    var isDraining = false
    var drainDeadline: UInt64?
    var stoppedCount = 0
    var now = Moment(monotonic: 0, wall: 0)
    var salts: Set<[UInt8]> = []
    var lastSeal: UInt64 = 0
    /// Hears what the model takes for accepted, when somebody follows a run.
    var note: ((String) -> Void)?
    /// What happened, for those who ask whether a run was worth it.
    var tally = SimulationTally()

    init(configuration: BrokerConfiguration, isTight: Bool) {
        guard let opened = try? Topic("$bus.session.opened"), let closed = try? Topic("$bus.session.closed") else {
            preconditionFailure("both are topics by the rules")
        }
        (openedTopic, closedTopic) = (opened, closed)
        self.configuration = configuration
        self.isTight = isTight
    }

    /// In the order of their numbers, so that chance picks alike in every run.
    var sessionsInOrder: [ModelSession] { sessions.values.sorted { $0.id.rawValue < $1.id.rawValue } }

    func session(_ id: SessionID) throws(Violation) -> ModelSession {
        guard let session = sessions[id] else { throw Violation("session \(id) is spoken to, and is gone") }
        return session
    }

    /// Everything that is owed something: lone subscriptions and groups.
    var streams: [ModelStream] {
        groups + sessionsInOrder.flatMap { $0.subscriptionsInOrder.map(\.stream).filter { $0.group == nil } }
    }

    /// Everyone a topic's events are for.
    func matches(_ topic: Topic) -> [ModelStream] { streams.filter { $0.filter.matches(topic) } }

    /// Whether a subscription's losses follow from what is known: not where a user's bytes run out, nor where they
    /// depend on when the broker looked at its clock, nor where members gave back what they had, in any order.
    func isForeseen(_ stream: ModelStream) -> Bool {
        !isTight && stream.policy != .stall
    }

    /// A session holds nothing any more and is owed nothing but what follows its last publish.
    func forget(_ session: ModelSession) {
        for subscription in session.subscriptionsInOrder { leave(subscription) }
        loseRights(of: session)
        cancelAll(session)
        session.seals = [:]
        session.pending = []
        session.owedRefusals = []
        session.owedAnswers = []
        session.owedBounds = []
        session.owedWords = []
        session.toldWords = []
        parked.removeAll { $0 === session }
    }

    /// A subscription is over.
    func leave(_ subscription: ModelSubscription) {
        // One of its name that comes later is another.
        for session in sessions.values where session.pages?.kind == .subscriptions {
            session.pages?.names.remove(subscription.name)
            session.pages?.others.insert(subscription.name)
        }
        subscription.session.subscriptions[subscription.number] = nil
        let stream = subscription.stream
        stream.members.removeAll { $0 === subscription }
        giveBack(subscription, stream)
        guard stream.members.isEmpty else { return }
        groups.removeAll { $0 === stream }
        // What it asked it to answer waits for nobody now.
        lose(stream.owed, of: stream, [.responderGone])
        stream.owed = []
    }
}
