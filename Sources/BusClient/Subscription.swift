// A subscription as an asynchronous sequence. Cancelling the task that iterates ends the wait, not the subscription.

import Synchronization

/// An event, or word of what else happened, in its place.
public enum Arrival: Sendable {
    /// An event.
    case event(Event)
    /// Events missed.
    case missed(Missed)
    /// So many stored events have come; what follows is new.
    case caughtUp(UInt64)
}

/// A subscription: iterate it for events, or its `batches` for the least work an event. One task at a time iterates.
public struct Subscription: AsyncSequence, Sendable {
    /// An event or a gap.
    public typealias Element = Arrival
    /// What iterating can throw.
    public typealias Failure = BusError

    private let connection: BusConnection
    private let state: SubscriptionState

    init(_ connection: BusConnection, _ state: SubscriptionState) {
        self.connection = connection
        self.state = state
    }

    /// Ends the subscription and the sequence.
    ///
    /// Of a group, and of a durable one: what was handed out and not followed by another is given to another member,
    /// unless it was acknowledged before. A durable subscription itself stays: `Operation.deleteSubscription` ends it.
    public func cancel() async { await connection.cancel(state) }

    /// Of a group, and of a durable one: says that everything handed out so far is handled. Asking for the next batch
    /// (for the event behind a batch's last, too) says the same of what came before it, unless acknowledgement is
    /// `manual`; this is for who stops there.
    ///
    /// Event by event, what came before the one at hand is acknowledged with its batch, or every half of the time the
    /// daemon waits, or when leaving, whichever comes first.
    public func acknowledge() async { await connection.acknowledge(state) }

    /// The same arrivals by batch.
    public var batches: Batches { Batches(connection: connection, state: state) }

    /// Walks the events.
    public func makeAsyncIterator() -> Iterator { Iterator(batches: batches.makeAsyncIterator()) }

    /// Walks events; the daemon sends more as batches are begun.
    public struct Iterator: AsyncIteratorProtocol {
        var batches: Batches.Iterator
        private var events: EventBatch.Iterator?

        init(batches: Batches.Iterator) { self.batches = batches }

        /// The next event or gap; nil at the end.
        public mutating func next() async throws(BusError) -> Arrival? {
            if let event = events?.next(), event.batch.delivery?.isCurrent ?? true {
                event.batch.passedCount.store(event.index, ordering: .relaxed)
                return .event(event)
            }
            // At its end; or what is left of it comes again, since the connection was lost.
            events = nil
            switch try await batches.next() {
            case nil: return nil
            case .missed(let missed): return .missed(missed)
            case .caughtUp(let count): return .caughtUp(count)
            case .batch(let batch):
                var iterator = batch.makeIterator()
                let first = iterator.next()
                events = iterator
                return first.map { .event($0) }
            }
        }
    }

    /// The arrivals of a subscription, by batch.
    public struct Batches: AsyncSequence, Sendable {
        /// A batch or a gap.
        public typealias Element = BatchArrival
        /// What iterating can throw.
        public typealias Failure = BusError

        let connection: BusConnection
        let state: SubscriptionState

        /// Walks the batches.
        public func makeAsyncIterator() -> Iterator { Iterator(connection: connection, state: state) }

        /// Walks batches.
        public struct Iterator: AsyncIteratorProtocol {
            let connection: BusConnection
            let state: SubscriptionState

            /// The next batch or gap; nil at the end.
            public mutating func next() async throws(BusError) -> BatchArrival? {
                try await connection.next(state)
            }
        }
    }
}
