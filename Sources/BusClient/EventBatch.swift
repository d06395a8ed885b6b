// A batch, opened and checked: the unit in which events arrive, for those who want the least work an event.

public import BusWire

/// Consecutive events of one publisher on one topic.
public final class EventBatch: Sequence, Sendable {
    /// Their topic.
    public let topic: Topic
    /// Who published them.
    public let publisher: Publisher
    /// Position of the first in the topic; the others follow it.
    public let firstSequence: UInt64
    /// When the daemon accepted them, microseconds since 1970.
    public let time: Int64
    /// 1 the first time, more when they are redelivered.
    public let attempt: Int
    /// How many there are.
    public let count: Int
    let columns: BatchColumns
    private let firstID: BusUUID
    private let body: SharedBytes

    /// A batch with this opened body.
    ///
    /// - Throws: `WireError` unless the body holds exactly as many sound records as the header says.
    init(
        _ deliver: Deliver, _ sealed: SealedBatch, body: SharedBytes, topic: Topic, publisher: Publisher
    ) throws(WireError) {
        count = Int(sealed.header.eventCount)
        columns = try BatchColumns(sealed.columns, eventCount: count)
        firstID = sealed.header.firstID
        firstSequence = deliver.firstSequence
        time = deliver.time
        attempt = Int(deliver.attempt)
        self.topic = topic
        self.publisher = publisher
        self.body = body
        var position = 0
        for _ in 0..<count { _ = try EventRecord.next(in: body, at: &position) }
        guard position == body.count else { throw .malformedBatch("bytes behind its last event") }
    }

    func id(at index: Int) -> BusUUID {
        columns.id[index] ?? firstID.advanced(by: UInt64(index)) ?? .zero
    }

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
            guard index < batch.count, let record = try? EventRecord.next(in: batch.body, at: &position) else {
                return nil
            }
            defer { index += 1 }
            return Event(batch, index, record)
        }
    }
}
