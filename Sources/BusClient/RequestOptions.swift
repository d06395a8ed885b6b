// How to ask: how long to wait, for how many answers, whether to try again, and when to stop trying for a while.

/// How to make a request.
public struct RequestOptions: Sendable {
    /// How long to wait for an answer, and of a streamed one for each next part. With `retry` it counts for each
    /// attempt.
    public var timeout = Duration.seconds(5)
    /// Most answers wanted, at least 1. A streamed answer counts when its last part came.
    public var replies = 1
    /// Whether to try again, and how; nil for not.
    public var retry: RetryPolicy?
    /// Whether to stop asking for a while where nobody answers, and when; nil for never.
    public var circuit: CircuitPolicy?

    /// One answer, within five seconds, from the first attempt.
    public init() {}
}

/// How to try a request again that got no answer: nobody was there to answer, who had it is gone, the connection was
/// lost, or the time was over.
///
/// Every attempt is the same event with the same id, so that a responder that had it already doesn't do it twice. What
/// was answered, an error answer included, is never asked again.
public struct RetryPolicy: Sendable, Equatable {
    /// Attempts in all, the first included; at least 1.
    public var attempts: Int
    /// The wait before the second attempt; it doubles with each, ±50 %.
    public var backoffMin: Duration
    /// The longest wait before an attempt.
    public var backoffMax: Duration

    /// A policy of these parts.
    public init(
        attempts: Int = 3, backoffMin: Duration = .milliseconds(100), backoffMax: Duration = .seconds(5)
    ) {
        self.attempts = attempts
        self.backoffMin = backoffMin
        self.backoffMax = backoffMax
    }
}

/// When requests on a topic fail at once because the ones before got no answer.
///
/// A circuit belongs to one topic and one connection. After `openFor` one request is let through: answered, the
/// circuit closes; else it stays open as long again. An error answer is an answer.
public struct CircuitPolicy: Sendable, Equatable {
    /// So many attempts in a row without an answer open it; at least 1.
    public var failures: Int
    /// How long it stays open.
    public var openFor: Duration

    /// A policy of these parts.
    public init(failures: Int = 5, openFor: Duration = .seconds(10)) {
        self.failures = failures
        self.openFor = openFor
    }
}
