// The reactor as a Swift executor, and its thread.
//
// Guarantees that jobs run one at a time on the reactor's thread, in the order they came from each thread; that a
// job enqueued on that thread costs neither lock nor system call; and that no job is ever left lying: one that
// comes after the end is run by a short-lived thread, so that an `await` on an actor of a stopped reactor returns.

import CLinux
import Glibc
import Synchronization

extension Reactor: SerialExecutor, TaskExecutor {
    /// Takes a job in, from any thread.
    public func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        if isOnReactor {
            localJobs.append(job)
            return
        }
        // The job may hold the last reference: once it is in the inbox, the reactor's thread can run it, end and be
        // gone before this thread has woken or spawned anybody. Whoever enqueues (the runtime) holds none, so this
        // does; by hand, as a copy of `self` would be optimized away.
        let reactor = Unmanaged.passUnretained(self).retain()
        fulfil(inbox.put(job))
        reactor.release()
    }

    private func fulfil(_ duty: JobInbox.Duty) {
        switch duty {
        case .nothing: break
        case .wake: poller.wake()
        case .drain: spawn { $0.drainLateJobs() }
        }
    }

    /// Whether the caller runs on this reactor's thread, inside or outside of a task.
    public var isOnReactor: Bool { thread.load(ordering: .relaxed) == pthread_self() }

    /// Stops the program unless the caller is on the reactor.
    public func checkIsolated() {
        precondition(isOnReactor, "not on the thread of reactor “\(name)”")
    }

    /// Whether the caller is on the reactor, for `assumeIsolated` of actors that live here.
    public func isIsolatingCurrentContext() -> Bool? { isOnReactor }

    /// For what is confined: on the reactor, or setting it up before it runs.
    func preconditionConfined() {
        let owner = thread.load(ordering: .relaxed)
        precondition(owner == pthread_self() || owner == 0, "used from a thread that is not its reactor's")
    }

    func runJobs() {
        inbox.take(into: &localJobs)
        guard !localJobs.isEmpty else { return }
        let serial = asUnownedSerialExecutor()
        let task = asUnownedTaskExecutor()
        var done = 0
        // Jobs that jobs enqueue here run in the same round, as far as its bound allows.
        while done < localJobs.count && done < Self.jobsPerRoundMax {
            let job = localJobs[done]
            done += 1
            job.runSynchronously(isolatedTo: serial, taskExecutor: task)
        }
        counters.jobs += done
        if done == localJobs.count {
            localJobs.removeAll(keepingCapacity: true)
        } else {
            localJobs.removeSubrange(0..<done)
        }
    }

    // MARK: Running

    /// Runs on a thread of its own, until `stop()`. The thread keeps the reactor alive and takes no signals.
    public func start() {
        inbox.begin()
        spawn { $0.runOnThisThread() }
    }

    /// Runs on the calling thread, until `stop()`.
    public func run() {
        inbox.begin()
        runOnThisThread()
    }

    /// Ends the loop after the round under way, from any thread. Connections still open are closed with
    /// `CloseReason.reactorStopped`; flush them before if what they hold matters.
    public func stop() {
        fulfil(inbox.requestStop())
    }

    /// Blocks until the loop has ended. Not to be called on the reactor.
    public func waitUntilStopped() {
        precondition(!isOnReactor, "the reactor cannot wait for itself")
        inbox.waitUntilStopped()
    }

    /// How often another thread had to wake the reactor: once per burst of jobs.
    public var wakeupCount: Int { inbox.wakeupCount }

    private func runOnThisThread() {
        thread.store(pthread_self(), ordering: .relaxed)
        loop()
        drainLateJobs()
    }

    private func drainLateJobs() {
        thread.store(pthread_self(), ordering: .relaxed)
        repeat {
            repeat {
                runJobs()
                endEverything()
            } while !localJobs.isEmpty
            // Given up before the state says so: the next drainer may start at that moment.
            thread.store(0, ordering: .relaxed)
        } while !inbox.finishIfEmpty() && reclaimThread()
    }

    private func reclaimThread() -> Bool {
        thread.store(pthread_self(), ordering: .relaxed)
        return true
    }

    private func spawn(_ body: @escaping @Sendable (Reactor) -> Void) {
        let start = Unmanaged.passRetained(ThreadStart(reactor: self, body: body))
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        pthread_attr_setdetachstate(&attributes, CInt(PTHREAD_CREATE_DETACHED))
        var handle = pthread_t()
        let result = pthread_create(
            &handle, &attributes,
            { argument in
                guard let argument else { return nil }
                let start = Unmanaged<ThreadStart>.fromOpaque(argument).takeRetainedValue()
                linux_block_signals()
                _ = linux_set_thread_name(start.reactor.name)
                start.body(start.reactor)
                return nil
            }, start.toOpaque())
        pthread_attr_destroy(&attributes)
        precondition(result == 0, "pthread_create: no thread for reactor “\(name)” (error \(result))")
    }
}

/// What a new thread is handed.
private final class ThreadStart: Sendable {
    let reactor: Reactor
    let body: @Sendable (Reactor) -> Void

    init(reactor: Reactor, body: @escaping @Sendable (Reactor) -> Void) {
        self.reactor = reactor
        self.body = body
    }
}
