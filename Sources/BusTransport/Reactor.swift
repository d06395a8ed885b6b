// One thread, one epoll set, one round after the other.
//
// A round: wait; read what is ready (bounded: so many descriptors, one read each, shared among users by time); run jobs (bounded); run due
// timers; let observers hand out writes; flush every connection that was written to, one `sendmsg` each; tell the
// owners what became of it. What happens in a round leaves in its flush, so ten answers to one peer cost one system
// call. If anything is left to do, the next round does not wait.
//
// Guarantees that everything it calls runs on its thread, and that no source of work starves another: each phase
// has a bound or works on what was there when it began. Keeps the storage its connections fill in turn. Leaves
// to their owners what bytes mean and which deadlines exist.

import BusWire
import CLinux
import Glibc
import Synchronization
import SystemPackage

/// Told once per round, after input, jobs and timers and before the flush: the place to hand out writes.
public protocol RoundObserver: AnyObject {
    /// The round's last chance to write.
    func roundWillEnd(_ reactor: Reactor)
}

/// What a reactor has done so far; for metrics and tests.
public struct ReactorCounters: Equatable, Sendable {
    /// Rounds begun.
    public var rounds = 0
    /// `recv` calls on connections.
    public var receiveCalls = 0
    /// `sendmsg` calls on connections.
    public var sendCalls = 0
    /// Jobs run.
    public var jobs = 0
}

/// The event loop of one thread. Also a Swift executor: actors and tasks can live on it.
///
/// Everything but `enqueue`, `stop`, `waitUntilStopped`, `wakeupCount` and `isOnReactor` is confined: to the
/// reactor's thread while it runs, to the thread that set it up before that.
public final class Reactor: @unchecked Sendable {
    /// Bound of one round's jobs, so that tasks which keep each other busy do not keep sockets waiting. Not tuned.
    static let jobsPerRoundMax = 1024
    /// `sendmsg` takes no more (UIO_MAXIOV of the kernel).
    static let vectorsMax = 1024
    /// Outboxes kept for the next write; one with grown storage is not kept. Not tuned.
    private static let outboxesKeptMax = 256

    let name: String
    let poller: Poller
    let inbox = JobInbox()
    /// `pthread_self()` of the thread that runs the loop, 0 before and after.
    let thread = Atomic<UInt>(0)
    var localJobs: [UnownedJob] = []
    var timers = TimerHeap()
    private var observers: [any RoundObserver] = []
    /// How many connections each principal has, and what they spent in this round.
    var principals: [UInt32: Int] = [:]
    var turns = FairTurns()
    private var isAnotherRoundWanted = false

    /// 256 KiB: what a publisher's largest batch and a full socket buffer (208 KiB) fit into.
    var received = StorageArea(capacity: 256 << 10)
    /// 64 KiB of prefixes are some two thousand deliveries per round. Not tuned.
    var prefixes = StorageArea(capacity: 64 << 10)
    let vectors = UnsafeMutablePointer<iovec>.allocate(capacity: Reactor.vectorsMax)
    private var outboxes: [Outbox] = []

    // Lists in pairs where every round needs them: swapped, so that callbacks add to the one that is not walked
    // through and neither is allocated anew.
    private var dirty: [Connection] = []
    private var flushing: [Connection] = []
    private var flushed: [Connection] = []
    private var reporting: [Connection] = []
    private var ended: [Connection] = []
    private var resumed: [Connection] = []

    /// The clock at the beginning of this round.
    public private(set) var now = MonotonicInstant.now()
    /// What has been done so far.
    public internal(set) var counters = ReactorCounters()

    /// A reactor that does not run yet; `name` is its thread's name.
    public init(name: String) throws(TransportError) {
        self.name = name
        poller = try Poller()
    }

    deinit { vectors.deallocate() }

    // MARK: Setting up

    /// Calls `observer` at the end of every round.
    public func addObserver(_ observer: any RoundObserver) {
        preconditionConfined()
        observers.append(observer)
    }

    /// Calls `observer` no more.
    public func removeObserver(_ observer: any RoundObserver) {
        preconditionConfined()
        observers.removeAll { $0 === observer }
    }

    /// Runs `action` at `instant`; the timer can be disarmed and armed again.
    @discardableResult
    public func schedule(at instant: MonotonicInstant, _ action: @escaping () -> Void) -> DeadlineTimer {
        let timer = DeadlineTimer(on: self, action)
        timer.arm(at: instant)
        return timer
    }

    /// Makes sure that observers are called soon: at this round's end if that is still to come, else in another
    /// round, which then begins at once.
    public func requestRound() {
        preconditionConfined()
        isAnotherRoundWanted = true
    }

    // MARK: The loop

    /// Runs rounds until asked to stop.
    func loop() {
        while !inbox.isStopping { turn() }
    }

    /// One round, begun by waiting at most `limit`.
    func turn(waitingAtMost limit: Int64? = nil) {
        let ready = poller.wait(nanoseconds: timeToWait(atMost: limit))
        now = .now()
        round(ready: ready)
    }

    private func timeToWait(atMost limit: Int64?) -> Int64? {
        guard !hasWork, inbox.fallAsleep() else { return 0 }
        guard let deadline = timers.nextDeadline else { return limit }
        let time = max(0, deadline.nanoseconds - MonotonicInstant.now().nanoseconds)
        return min(time, limit ?? time)
    }

    private var hasWork: Bool {
        isAnotherRoundWanted || !localJobs.isEmpty || !dirty.isEmpty || !flushed.isEmpty || !ended.isEmpty
            || !resumed.isEmpty
    }

    private func round(ready: Int) {
        counters.rounds += 1
        redeliver()
        dispatch(ready: ready)
        runJobs()
        fireTimers()
        // Who asked for a round so far gets its end here; who asks from now on gets another one.
        isAnotherRoundWanted = false
        for observer in observers { observer.roundWillEnd(self) }
        flush()
        report()
    }

    /// Connections that read again get first what they had left.
    private func redeliver() {
        guard !resumed.isEmpty else { return }
        let connections = resumed
        resumed = []
        for connection in connections { connection.redeliver() }
    }

    private func fireTimers() {
        guard let next = timers.nextDeadline else { return }
        let instant = MonotonicInstant.now()
        guard next <= instant else { return }
        let limit = timers.armedSoFar
        while let action = timers.popDue(at: instant, armedBefore: limit) { action() }
    }

    private func flush() {
        guard !dirty.isEmpty else { return }
        swap(&dirty, &flushing)
        for connection in flushing { connection.flush() }
        flushing.removeAll(keepingCapacity: true)
    }

    /// Owners hear of results after all flushes, so that what they write in answer waits for the next round.
    private func report() {
        if !flushed.isEmpty {
            swap(&flushed, &reporting)
            for connection in reporting { connection.reportFlush() }
            reporting.removeAll(keepingCapacity: true)
        }
        if !ended.isEmpty {
            let connections = ended
            ended = []
            for connection in connections { connection.reportEnd() }
        }
    }

    /// Closes every connection and listener, tells their owners, and forgets all others.
    func endEverything() {
        for source in poller.sources {
            switch source {
            case .vacant: break
            case .connection(let connection): connection.finish(.reactorStopped)
            case .listener(let listener): listener.close()
            case .watch(let watch): watch.cancel()
            }
        }
        while !ended.isEmpty || !flushed.isEmpty { report() }
        dirty = []
        resumed = []
        observers = []
        timers.removeAll()
    }

    // MARK: What connections ask for

    func noteDirty(_ connection: Connection) { dirty.append(connection) }
    func noteFlushed(_ connection: Connection) { flushed.append(connection) }
    func noteEnded(_ connection: Connection) { ended.append(connection) }
    func noteResumed(_ connection: Connection) { resumed.append(connection) }

    func takeOutbox() -> Outbox { outboxes.popLast() ?? Outbox() }

    func giveBack(_ outbox: Outbox) {
        if outboxes.count < Self.outboxesKeptMax && outbox.isWorthKeeping { outboxes.append(outbox) }
    }
}
