// The store as the broker knows it: numbers to be given, what waits for the disk, what is read, what is to be saved.

import BusWire
import DequeModule
import HeapModule

/// The store as the broker knows it.
final class Storage {
    let incarnation: BusUUID
    /// The next position to be given.
    var nextPosition: UInt64
    /// Everything before is on disk, and was fanned out.
    var committed: UInt64
    var nextTicket: UInt64 = 1
    var nextTopic: UInt64 = 1
    var nextSubscription: UInt64 = 1
    var nextDeadLetter: UInt64 = 1
    var nextRead: UInt64 = 1
    /// What waits for the disk, in order.
    var completions: Deque<(ticket: UInt64, completion: Completion)> = []
    /// Bytes the store uses, and those on their way to it.
    var bytesUsed: UInt64 = 0
    var bytesUnderWay: UInt64 = 0
    /// Bytes it may use.
    var bytesMax: UInt64
    /// What topics are by command.
    var declared: [TopicDeclaration] = []
    /// Durable topics by their number in the store.
    var topics: [UInt64: TopicState] = [:]
    /// Reads under way, by number.
    var reads: [UInt64: (reader: CatchUp.Reader, account: Account)] = [:]
    /// Users with readers that wait.
    var hungry: [Account] = []
    /// Durable subscriptions by name, and by number.
    var subscriptions: [GroupName: Subscription] = [:]
    var numbers: [UInt64: Subscription] = [:]
    /// Subscriptions whose place is to be saved, and when.
    var dirty: [Subscription] = []
    /// When deliveries are to be looked at.
    var timers = Heap<DurableTimer>()
    /// Those for whom the store looks where to begin, by the number of the question.
    var seeks: [UInt64: Seek] = [:]
    var saveDeadline: Moment.Nanoseconds?
    /// Lines for the ledger that leave with the next save.
    var ledger: [LedgerLine] = []
    /// When what is too old is looked for next.
    var sweepDeadline: Moment.Nanoseconds = 0
    /// What an administrator should know of the store; empty when all is well.
    var warning = ""
    /// When dead letters, ledger and ids are looked after next.
    var careDeadline: Moment.Nanoseconds = 0
    /// What is to be published later.
    var schedule: Schedule
    /// Topics of which something is being removed; some may have none any more.
    var trimming: Set<UInt64> = []
    /// When the daemon began.
    var began: Moment.Nanoseconds = 0
    /// Up to where the ledger was trimmed, and ids.
    var ledgerTrimmed: UInt64 = 0
    var idsTrimmed: Int64 = 0
    /// Positions that were lost with the end of a damaged log, and the last topic there was then.
    let lost: [(positions: Range<UInt64>, lastTopic: UInt64)]
    /// Commits, for showing.
    var commits: UInt64 = 0
    /// How long they took, in microseconds.
    var commitTimes = DurationHistogram()

    /// Events of all durable topics.
    var eventCount: UInt64 { topics.values.reduce(0) { $0 + $1.stored.eventCount } }

    /// Whether something is being removed that a subscription hasn't read.
    func isRemoving(from subscription: Subscription) -> Bool {
        trimming.contains { number in
            topics[number]?.stored.removals.contains { removal in
                removal.losers.contains { $0.subscription === subscription }
            } ?? false
        }
    }

    init(_ state: StoredState, at now: Moment) {
        schedule = Schedule(clock: DueClock(at: now))
        incarnation = state.incarnation
        nextPosition = state.nextPosition
        committed = state.nextPosition
        bytesUsed = state.bytesUsed
        bytesMax = state.bytesMax
        nextDeadLetter = state.lastDeadLetter + 1
        lost = state.lost
        nextTopic = state.lastTopic + 1
        nextSubscription = state.lastSubscription + 1
    }
}

/// What happens when something is on disk.
enum Completion {
    /// A batch is an event now.
    case published(Session, PendingPublish)
    /// A will is an event now; whose it was is gone.
    case willed(PendingPublish)
    /// An event waits on disk until it is due.
    case scheduled(Session, PendingSchedule)
    /// An event that waited is one now.
    case due(PendingPublish, StoredScheduled)
    /// It couldn't be, and waits on.
    case notDue(StoredScheduled)
    /// An event that waited can't be published ever.
    case unpublishable(StoredScheduled)
    /// An event that waited does so no more; of a topic that isn't there, it was counted for nobody.
    case unscheduled(StoredScheduled, TopicState?)
    /// A will wasn't taken, and nobody is left to be told.
    case lost
    /// A publish was refused behind others that weren't on disk yet.
    case refused(Session, publish: UInt64, Reason, String)
    /// A publish was known already.
    case duplicate(Session, Receipt?)
    /// Ids were looked up.
    case lookedUp(Session, publish: UInt64)
    /// Events were given up on, and that is to be told.
    case buried(DeadLetterWord)
    /// An administrator's wish is done.
    case administered(Session, request: UInt32, count: UInt64)
}

/// A batch on its way to the disk.
struct PendingPublish {
    let number: UInt64
    let wantsReceipt: Bool
    let isPatient: Bool
    let retains: Bool
    let isTombstone: Bool
    let batch: AcceptedBatch
    /// The topic's number in the store when it was handed over.
    let storeNumber: UInt64
}

/// How far the look-up of a publish's ids is.
enum LookUp {
    case asked
    case answered([KnownIDs])
}
