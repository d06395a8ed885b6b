// A batch, opened and checked: the unit in which events arrive, for those who want the least work an event.

public import BusWire
import Synchronization

/// Consecutive events of one publisher on one topic.
public final class EventBatch: Sequence, Sendable {
    /// Their topic.
    public let topic: Topic
    /// Who published them.
    public let publisher: Publisher
    /// Position in the topic of the batch's first place, whether or not that event is meant.
    let baseSequence: UInt64
    /// When the daemon accepted them, microseconds since 1970.
    public let time: Int64
    /// 1 the first time, more when they are redelivered.
    public let attempt: Int
    /// Whether they were kept for whoever asks later, rather than published now.
    public let isStored: Bool
    /// Whether they may have been delivered before without the daemon knowing: it was started anew since.
    public let mayBeRepeated: Bool
    /// How many there are: of a batch that is shared with others, those that are for this subscription.
    public let count: Int
    /// Of answers: whether more of them follow.
    let hasMore: Bool
    /// Of requests: whether this session may answer.
    let isAnswerable: Bool
    let columns: BatchColumns
    /// Of a durable subscription whose events are acknowledged: which delivery they came in.
    let delivery: SettlableDelivery?
    /// Events of places below this one were handed out and followed by another.
    let passedCount = Atomic(0)
    /// How many events travel in the batch.
    let placeCount: Int
    private let selection: Selection
    private let firstID: BusUUID
    private let body: SharedBytes

    /// A batch with this opened body.
    ///
    /// - Parameter selection: the events that are meant, checked against the batch.
    /// - Throws: `WireError` unless the body holds exactly as many sound records as the header says.
    init(
        _ deliver: Deliver, _ sealed: SealedBatch, _ selection: Selection, body: SharedBytes, topic: Topic,
        publisher: Publisher, delivery: SettlableDelivery? = nil
    ) throws(WireError) {
        placeCount = Int(sealed.header.eventCount)
        count = selection.count(of: placeCount)
        columns = try BatchColumns(sealed.columns, eventCount: placeCount)
        firstID = sealed.header.firstID
        baseSequence = deliver.firstSequence
        time = deliver.time
        isStored = deliver.isStored
        mayBeRepeated = deliver.mayBeRepeated
        self.delivery = delivery
        hasMore = deliver.hasMore
        isAnswerable = deliver.isAnswerable
        self.selection = selection
        attempt = Int(deliver.attempt)
        self.topic = topic
        self.publisher = publisher
        self.body = body
        var position = 0
        for _ in 0..<placeCount { _ = try EventRecord.next(in: body, at: &position) }
        guard position == body.count else { throw .malformedBatch("bytes behind its last event") }
    }

    /// Position of the first event in the topic.
    public var firstSequence: UInt64 { baseSequence + UInt64(selection.bounds(of: placeCount).lowerBound) }
    /// Position of the last event in the topic. Between the two there are `count` events, unless some of them are for
    /// others.
    public var lastSequence: UInt64 { baseSequence + UInt64(selection.bounds(of: placeCount).upperBound) }

    func id(at index: Int) -> BusUUID { columns.id(at: index, from: firstID) }

    /// The events, in order.
    public func makeIterator() -> Iterator { Iterator(self) }

    /// Walks a batch.
    public struct Iterator: IteratorProtocol {
        private let batch: EventBatch
        private var index = 0
        private var position = 0

        init(_ batch: EventBatch) { self.batch = batch }

        /// The next event.
        public mutating func next() -> Event? {
            // The records were read once when the batch was made, so that reading them again can't fail.
            while index < batch.placeCount, let record = try? EventRecord.next(in: batch.body, at: &position) {
                defer { index += 1 }
                if batch.selection.contains(index) { return Event(batch, index, record) }
            }
            return nil
        }
    }
}
