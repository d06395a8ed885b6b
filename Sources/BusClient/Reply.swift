// Answers to a request: one of them, and all of them as a sequence.

public import BusWire

/// An answer to a request, or one part of a streamed answer.
public struct Reply: Sendable {
    /// The header of an error answer, whose value says what went wrong.
    public static let errorHeader = "error"

    /// The answer as the event it is.
    public let event: Event
    /// Whether more of it follows.
    public let hasMore: Bool
    /// What went wrong at the responder's; nil for a good answer.
    public let failure: String?

    /// Whether it only says that its responder was ended before it answered.
    var isDeclined: Bool { failure == Reason.responderGone.name && !hasMore }

    init(_ event: Event) {
        self.event = event
        hasMore = event.batch.hasMore
        failure = event.headers.first { $0.name == Reply.errorHeader }?.value
    }

    /// Its payload.
    public var payload: SharedBytes { event.payload }
    /// Its payload as text.
    public var text: String { event.text }
    /// Who answered.
    public var publisher: Publisher { event.publisher }
}

/// The answers to one request, as they come. The request is made when the first is asked for, once for each iteration.
///
/// Ends when everyone who had the request has answered, when as many answers as wanted came, or when the time is over
/// and some came. Leaving the loop, or cancelling its task, tells the responders that nobody waits any more.
public struct Replies: AsyncSequence, Sendable {
    /// An answer, or a part of one.
    public typealias Element = Reply
    /// What iterating can throw: what `request` can, but for an error answer, which is an element here.
    public typealias Failure = BusError

    let connection: BusConnection
    let event: OutgoingEvent
    let topic: String
    let options: RequestOptions

    /// Walks the answers.
    public func makeAsyncIterator() -> Iterator { Iterator(replies: self) }

    /// Walks answers. One task at a time iterates.
    public struct Iterator: AsyncIteratorProtocol {
        private let replies: Replies
        private let asked = Asked()

        init(replies: Replies) { self.replies = replies }

        /// The next answer; nil at the end.
        public mutating func next() async throws(BusError) -> Reply? {
            try await replies.connection.nextReply(replies, asked)
        }
    }

    /// The request behind an iteration; forgotten with it.
    final class Asked: @unchecked Sendable {
        /// Confined to the connection's reactor, but for the end of this, when nobody else is left.
        var conversation: Conversation?

        deinit { conversation?.abandon() }
    }
}
