// A responder as its application holds it.

/// Answers requests until it is cancelled or its connection ends.
public struct Responder: Sendable {
    let connection: BusConnection
    let state: ResponderState

    /// Ends it at once: handlers under way are cancelled. In a group another member gets the requests; otherwise, and
    /// where there is none, who asked is told that nobody will answer (`BusError.responderGone`).
    public func cancel() async { await connection.cancel(state) }

    /// Ends it when the handlers under way have answered. Requests that none was called for yet are given back, as by
    /// `cancel`.
    public func finish() async { await connection.finish(state) }
}
