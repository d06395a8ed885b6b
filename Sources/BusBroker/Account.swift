// What one user holds in the daemon. Everything held is charged to somebody and every charge is given back; a test
// closes everything and finds all accounts empty.

import BusWire
import DequeModule

/// Everything the daemon holds for one uid.
final class Account {
    let uid: UInt32
    var connectionCount = 0
    var subscriptionCount = 0
    var topicCount = 0
    /// Seals its sessions have open.
    var sealCount = 0
    /// Bytes of batches queued for its subscriptions. A batch queued for several counts for each: who asks for it
    /// twice pays twice, and nobody's charge depends on what others do.
    var queued: SharedQuota
    /// Its subscriptions whose queues hold something, in no order.
    private(set) var queues: [Subscription] = []
    /// Where the search for a long queue goes on.
    private var hand = 0
    /// Bytes of its publishes that wait for a stalled subscription.
    var parkedLength = 0
    /// Bytes of last values and wills it left here.
    var retainedLength = 0
    /// What it has waiting to be published.
    var scheduled = Waiting()
    /// Bytes its batches hold in the store, and of those on their way there.
    var storedLength: UInt64 = 0
    var storingLength: UInt64 = 0
    /// Bytes the kernel may hold for its connections.
    var kernelLength = 0
    /// Events its members of groups hold.
    var outstandingEvents: UInt64 = 0
    /// Bytes of the batches they are in, for each member the whole batch.
    var outstandingLength = 0
    /// Durable subscriptions it made; they count as subscriptions, too, with consumers or without.
    var durableCount = 0
    /// Bytes kept in memory of what is stored, for its durable subscriptions and for those that read it, and set aside for
    /// what is being read for them.
    var windowLength = 0
    /// Those that wait until there is less of it, each once.
    var hungry: Deque<CatchUp.Reader> = []
    /// Whether ids of one of its publishes are being looked up.
    var isLookingUp = false
    /// Requests that wait for an answer.
    var requestCount = 0
    let rates: UserRates
    /// What its publishers published on live topics lately.
    let recentIDs: RecentIDs
    var publishRate = RateMeter()
    /// Members of groups that get nothing until something is acknowledged, in no order.
    private(set) var starved: [Consumer] = []
    /// Where the search for one that goes on goes on.
    private var starvedHand = 0

    init(uid: UInt32, _ quotas: Quotas, rates: UserRates? = nil, recentIDs: RecentIDs = RecentIDs()) {
        self.uid = uid
        queued = SharedQuota(limit: quotas.queuedLength, owner: uid)
        self.rates = rates ?? UserRates(quotas)
        self.recentIDs = recentIDs
    }

    /// Whether nothing is held any more. Topics, last values, durable subscriptions and what is stored outlive those who
    /// left them and don't count.
    var isIdle: Bool {
        connectionCount == 0 && subscriptionCount == durableCount && sealCount == 0 && windowLength == 0
            && queued.used == 0 && parkedLength == 0
            && queues.isEmpty
            && outstandingEvents == 0 && outstandingLength == 0 && starved.isEmpty && requestCount == 0
            && kernelLength == 0
    }

    /// Whether it may be forgotten.
    var isForgettable: Bool {
        isIdle && topicCount == 0 && retainedLength == 0 && durableCount == 0 && scheduled.count == 0 && !isLookingUp
            && storedLength == 0 && storingLength == 0
    }

    /// Bytes that count as stored by it: batches, those on their way, and what waits to be published.
    var keptLength: UInt64 { storedLength + storingLength + scheduled.length }

    // MARK: Members that wait

    /// Takes note that a member gets nothing because this user holds too much.
    func starve(_ consumer: Consumer) {
        guard let holding = consumer.holding, holding.starvedPlace == nil else { return }
        holding.starvedPlace = starved.count
        starved.append(consumer)
    }

    /// Takes note that it no longer waits for that.
    func feed(_ consumer: Consumer) {
        guard let place = consumer.holding?.starvedPlace else { return }
        consumer.holding?.starvedPlace = nil
        let last = starved.removeLast()
        guard last !== consumer else { return }
        starved[place] = last
        last.holding?.starvedPlace = place
    }

    /// One that may go on, in turns.
    func nextStarved() -> Consumer? {
        guard !starved.isEmpty else { return nil }
        starvedHand = starvedHand + 1 < starved.count ? starvedHand + 1 : 0
        let next = starved[starvedHand]
        feed(next)
        return next
    }

    // MARK: Long queues

    /// How many queues are looked at to find a long one: enough that those that hold little are never the ones that
    /// pay, few enough that nobody waits for it. Not tuned.
    private static let lookedAtCount = 8

    /// Takes note that a queue holds something.
    func enlist(_ subscription: Subscription) {
        // What a durable one keeps in memory is stored, too, and never the price of somebody else's.
        guard !subscription.isDurable else { return }
        let queue = subscription.needQueue()
        guard queue.place == nil else { return }
        queue.place = queues.count
        queues.append(subscription)
    }

    /// Takes note that a queue holds nothing any more.
    func delist(_ subscription: Subscription) {
        guard let place = subscription.queue?.place else { return }
        subscription.queue?.place = nil
        let last = queues.removeLast()
        guard last !== subscription else { return }
        queues[place] = last
        last.queue?.place = place
    }

    /// A long queue of this user's, to be shortened: the longest of a few, and of `own`, which was to grow. Who would
    /// rather hold publishers back than lose anything pays only where nobody else can.
    func longQueue(or own: Subscription) -> Subscription {
        var longest = own
        for _ in 0..<min(Account.lookedAtCount, queues.count) {
            hand = hand + 1 < queues.count ? hand + 1 : 0
            let candidate = queues[hand]
            if Account.mayPay(candidate, before: longest) { longest = candidate }
        }
        return longest
    }

    private static func mayPay(_ candidate: Subscription, before other: Subscription) -> Bool {
        guard candidate.hasWaiting, other.hasWaiting else { return candidate.hasWaiting }
        let (losing, otherLosing) = (candidate.policy != .stall, other.policy != .stall)
        guard losing == otherLosing else { return losing }
        return candidate.waitingLength > other.waitingLength
    }
}
