// Jobs on their way to the reactor, and whether it sleeps.
//
// Guarantees one wake-up per burst: a writer wakes the reactor only if it said it would sleep, and takes that word
// back with it, so that the writers after it need not. Keeps jobs until they are taken, and the reactor's state,
// because whether to wake, to stop or to take care of a late job is one question. Leaves the waking to the caller.
//
// A pthread mutex and not `Synchronization.Mutex`: ThreadSanitizer does not understand the latter's futex.

import Glibc

final class JobInbox: @unchecked Sendable {
    enum State { case idle, running, stopping, draining, stopped }

    /// What is left to do for the one who brought a job.
    enum Duty { case nothing, wake, drain }

    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let changed = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private var jobs: [UnownedJob] = []
    private var isAsleep = false
    private var state = State.idle
    private var wakeups = 0

    init() {
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(changed, nil)
    }

    deinit {
        pthread_cond_destroy(changed)
        pthread_mutex_destroy(mutex)
        changed.deallocate()
        mutex.deallocate()
    }

    private func locked<R>(_ body: () -> R) -> R {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return body()
    }

    /// Takes a job in, from any thread.
    func put(_ job: UnownedJob) -> Duty {
        locked {
            jobs.append(job)
            if state == .stopped {
                state = .draining
                return .drain
            }
            return wakeDuty()
        }
    }

    private func wakeDuty() -> Duty {
        guard isAsleep else { return .nothing }
        isAsleep = false
        wakeups += 1
        return .wake
    }

    /// Moves all jobs behind those in `queue`; the reactor is awake from here on.
    func take(into queue: inout [UnownedJob]) {
        locked {
            isAsleep = false
            guard !jobs.isEmpty else { return }
            queue.append(contentsOf: jobs)
            jobs.removeAll(keepingCapacity: true)
        }
    }

    /// Whether the reactor may sleep; if so, the next writer must wake it.
    func fallAsleep() -> Bool {
        locked {
            isAsleep = jobs.isEmpty && state == .running
            return isAsleep
        }
    }

    /// The reactor begins. It runs once.
    func begin() {
        locked {
            precondition(state == .idle, "a reactor runs once")
            state = .running
        }
    }

    var isStopping: Bool { locked { state == .stopping } }

    /// How often a writer had to wake the reactor.
    var wakeupCount: Int { locked { wakeups } }

    /// Asks for the end.
    func requestStop() -> Duty {
        locked {
            switch state {
            case .idle:
                // It never ran and never will, but what waits for it must not wait for ever.
                state = .draining
                return .drain
            case .running:
                state = .stopping
                return wakeDuty()
            case .stopping, .draining, .stopped: return .nothing
            }
        }
    }

    /// Ends for good if no job is left.
    func finishIfEmpty() -> Bool {
        locked {
            guard jobs.isEmpty else { return false }
            finish()
            return true
        }
    }

    private func finish() {
        state = .stopped
        pthread_cond_broadcast(changed)
    }

    /// Blocks until the reactor has ended.
    func waitUntilStopped() {
        locked {
            while state != .stopped { pthread_cond_wait(changed, mutex) }
        }
    }
}
