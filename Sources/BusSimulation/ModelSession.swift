// One session's expectations.

import BusBroker
import BusWire

/// A publish that was sent and neither accepted nor refused yet.
struct ModelPublish {
    let publish: Publish
    let batch: SampleBatch
    /// The seal as it was when it was sent; nil for a number that was none of the session's.
    let seal: ModelSeal?
    /// Whether its counter was the seal's next then; nil without a seal.
    let isNext: Bool?

    var number: UInt64 { publish.number }
}

/// A last will.
struct ModelWill {
    let will: Will
    let seal: ModelSeal
}

/// One session's expectations.
final class ModelSession {
    enum Phase { case greeting, open, leaving, closed }

    let id: SessionID
    let peer: PeerIdentity
    let helloDeadline: UInt64
    var name = ""
    var phase = Phase.greeting
    /// Reasons for which the broker may close it.
    var closeReasons: Set<Reason> = []
    /// Whether it has to be closed with the input under way.
    var mustClose = false

    var seals: [UInt64: ModelSeal] = [:]
    /// Requests for seals that may be refused, since a topic may not be forgotten yet.
    var doubtfulSeals: Set<UInt32> = []
    var closedSeals: Set<UInt64> = []
    var nextPublish: UInt64 = 1
    var pending: [ModelPublish] = []
    var progress: UInt64 = 0
    var toldProgress: UInt64 = 0
    /// Number and length of publishes whose progress wasn't told.
    var untold: [(number: UInt64, length: Int)] = []
    var owedReceipts: [Receipt] = []
    /// Until when it may be left untold, if all it published since it was told was patient.
    var patientUntil: UInt64?
    /// Whether the end of the round has to tell it.
    var mustBeTold = false
    /// Publishes that were refused, and what was wrong with each.
    var owedRefusals: [(number: UInt64, reasons: Set<Reason>)] = []
    /// Answers to its requests, each by a short name.
    var owedAnswers: [Answer] = []
    /// Bounds of its batches that it must be told.
    var owedBounds: [(seal: UInt64, bounds: BatchBounds)] = []
    var will: ModelWill?

    var subscriptions: [UInt32: ModelSubscription] = [:]
    var announced: Set<UInt64> = []
    var granted: Set<Topic> = []

    /// Its own requests that somebody may still answer.
    var requests: [ModelRequest] = []
    /// Word it is owed of its requests and of others', in any order.
    var owedWords: [Word] = []
    /// Word it was told, until it is known to have been owed: what causes it may show later.
    var toldWords: [Word] = []

    /// What it is being told of the daemon, page by page.
    var pages: ExpectedPages?
    /// The one answer that is no page.
    var answerInOne: ExpectedPages?

    var isBlocked = false
    /// Something was handed over that the runner hasn't written yet.
    var isDirty = false
    var roundLength = 0
    var roundCount = 0
    /// It was told receipts although it is blocked, which only the end of a session allows.
    var wasToldWhileBlocked = false

    init(id: SessionID, peer: PeerIdentity, helloDeadline: UInt64) {
        self.id = id
        self.peer = peer
        self.helloDeadline = helloDeadline
    }

    var uid: UInt32 { peer.uid }
    var replyTopic: Topic { .reply(ofSession: id.rawValue) }
    var subscriptionsInOrder: [ModelSubscription] { subscriptions.values.sorted { $0.number < $1.number } }
}

/// What must come back for a request.
enum Answer: Equatable {
    case subscribed(UInt32)
    case unsubscribed(UInt32)
    case inspected(UInt32)
    case seal(UInt32)
    case done(FrameType, UInt64)
    case refused(FrameType, UInt64, Set<Reason>)
}

/// What must be said without having been asked for.
enum Word: Equatable {
    case unanswered(BusUUID, Set<Reason>)
    case cancelled(BusUUID, Topic)
}

extension Answer {
    /// Whether what was told is what was owed: a refusal may name any one of the things that are wrong.
    func allows(_ told: Answer) -> Bool {
        guard case .refused(let type, let request, let reasons) = self,
            case .refused(let toldType, let toldRequest, let toldReasons) = told
        else { return self == told }
        return type == toldType && request == toldRequest && toldReasons.isSubset(of: reasons)
    }
}

extension Word {
    /// Whether what was told is what was owed.
    func allows(_ told: Word) -> Bool {
        guard case .unanswered(let correlation, let reasons) = self,
            case .unanswered(let toldCorrelation, let toldReasons) = told
        else { return self == told }
        return correlation == toldCorrelation && toldReasons.isSubset(of: reasons)
    }
}
