// A thread with a name, that is waited for. Swift's own executors would do the work on any thread they like; a
// database connection that blocks in fsync needs one to itself.

import CLinux
import Glibc

/// A thread that runs one function and ends.
final class StoreThread: @unchecked Sendable {
    private final class Start {
        let name: String
        let body: @Sendable () -> Void
        init(_ name: String, _ body: @escaping @Sendable () -> Void) { (self.name, self.body) = (name, body) }
    }

    private var thread = pthread_t()

    /// Starts `body` on a thread of its own; `name` has at most 15 bytes.
    init(_ name: String, _ body: @escaping @Sendable () -> Void) throws(StoreError) {
        let start = Unmanaged.passRetained(Start(name, body))
        // A signal for the process goes to any thread that doesn't block it, and would end it: SIGTERM is for the
        // daemon's main thread, which blocks it only later. A new thread inherits the mask. Its own faults stay as
        // they are.
        var (blocked, before) = (sigset_t(), sigset_t())
        sigfillset(&blocked)
        for fault in [SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGABRT] { sigdelset(&blocked, fault) }
        pthread_sigmask(SIG_SETMASK, &blocked, &before)
        defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
        let code = pthread_create(
            &thread, nil,
            { argument in
                // Passed retained three lines above, so it is there.
                guard let argument else { return nil }
                let start = Unmanaged<Start>.fromOpaque(argument).takeRetainedValue()
                _ = linux_set_thread_name(start.name)
                start.body()
                return nil
            }, start.toOpaque())
        guard code == 0 else {
            start.release()
            throw .file(path: name, errno: code, doing: "starting the thread")
        }
    }

    /// Waits until it has ended; once only. Called on itself, it lets it end by itself.
    func join() {
        if pthread_equal(thread, pthread_self()) != 0 { pthread_detach(thread) } else { pthread_join(thread, nil) }
    }
}
