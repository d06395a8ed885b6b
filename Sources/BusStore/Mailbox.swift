// What one thread leaves for another: a list under a short lock, and a wake-up only where somebody sleeps.

import Glibc

/// A list that many fill and one empties.
final class Mailbox<Element: Sendable>: @unchecked Sendable {
    // pthread's own, not `Mutex`: a condition to sleep on goes with it, and ThreadSanitizer knows it.
    private let lock = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let filled = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private var elements: [Element] = []
    private var isClosed = false
    private var isReaderAsleep = false
    private var wasAbandoned = false

    init() {
        pthread_mutex_init(lock, nil)
        pthread_cond_init(filled, nil)
    }

    deinit {
        pthread_mutex_destroy(lock)
        pthread_cond_destroy(filled)
        lock.deallocate()
        filled.deallocate()
    }

    /// Runs `body` on the list and wakes its reader; nil once the mailbox is closed.
    func fill<R>(_ body: (inout [Element]) -> R) -> R? {
        pthread_mutex_lock(lock)
        defer { pthread_mutex_unlock(lock) }
        guard !isClosed else { return nil }
        let result = body(&elements)
        if isReaderAsleep, !elements.isEmpty {
            isReaderAsleep = false
            pthread_cond_signal(filled)
        }
        return result
    }

    /// Changes the list for `spare`, which must be empty, so that its memory is used again.
    ///
    /// - Parameter waiting: whether to sleep until there is something.
    /// - Returns: false once the mailbox is closed and empty.
    func take(into spare: inout [Element], waiting: Bool) -> Bool {
        pthread_mutex_lock(lock)
        defer { pthread_mutex_unlock(lock) }
        while waiting, elements.isEmpty, !isClosed {
            isReaderAsleep = true
            pthread_cond_wait(filled, lock)
        }
        isReaderAsleep = false
        swap(&elements, &spare)
        return !(isClosed && spare.isEmpty)
    }

    /// Takes no more; what is in it can still be taken.
    func close() {
        pthread_mutex_lock(lock)
        defer { pthread_mutex_unlock(lock) }
        isClosed = true
        pthread_cond_signal(filled)
    }

    /// Takes no more, and forgets what is in it.
    func abandon() {
        pthread_mutex_lock(lock)
        // Freed outside of the lock: what a job holds may do anything when it goes.
        let forgotten = elements
        elements = []
        wasAbandoned = true
        pthread_mutex_unlock(lock)
        _ = consume forgotten
        close()
    }

    /// Whether it was abandoned, and not closed.
    var isAbandoned: Bool {
        pthread_mutex_lock(lock)
        defer { pthread_mutex_unlock(lock) }
        return wasAbandoned
    }
}
