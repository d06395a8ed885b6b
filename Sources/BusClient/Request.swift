// What a responder's handler gets.

import Synchronization

/// A request to answer.
public struct Request: Sendable {
    /// The request as the event it is.
    public let event: Event
    let work: RequestWork
    let connection: BusConnection

    /// Whether anybody waits for the answer: false for an event that was published rather than asked. Its answer goes
    /// nowhere.
    public var isAnswerable: Bool { event.batch.isAnswerable }

    /// Whether nobody waits for the answer any more. The handler's task is cancelled then, too.
    public var isCancelled: Bool { work.isCancelled.load(ordering: .acquiring) }

    /// Sends a part of the answer; the last part is what the handler returns. Waits only while too much is waiting to
    /// be sent.
    ///
    /// - Throws: `BusError.cancelled` when nobody waits for the answer any more, `.tooLarge`.
    public func send(_ part: OutgoingEvent) async throws(BusError) { try await connection.send(part, of: work) }
}
