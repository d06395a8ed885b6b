// The reactor as the executor of actors.
//
// An object of its own beside the reactor's task executor, because a job must be run as what it was enqueued as: an
// actor's job that is run under a task executor's name is sent round the queue again at every step of a task that
// prefers none, and a call that should be a plain call becomes several jobs.

/// Runs actors on a reactor's thread. An actor that lives there returns it as its `unownedExecutor`.
public final class ActorExecutor: SerialExecutor {
    private unowned let reactor: Reactor

    init(_ reactor: Reactor) { self.reactor = reactor }

    /// Takes a job in, from any thread.
    public func enqueue(_ job: consuming ExecutorJob) {
        reactor.take(in: QueuedJob(job: UnownedJob(job), actor: asUnownedSerialExecutor()))
    }

    /// Stops the program unless the caller is on the reactor.
    public func checkIsolated() { reactor.checkIsolated() }

    /// Whether the caller is on the reactor.
    public func isIsolatingCurrentContext() -> Bool? { reactor.isOnReactor }
}

/// A job, and as what it is run.
struct QueuedJob {
    let job: UnownedJob
    /// The actor executor it came to; nil for one that came to the reactor itself.
    var actor: UnownedSerialExecutor?
}
