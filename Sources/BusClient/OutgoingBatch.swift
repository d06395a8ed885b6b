// Consecutive events for one topic, in plain, from the first event to the receipt: what is sealed, and sealed again
// after a reconnect, with the same ids.

import BusCrypto
import BusWire

/// Events that will be sealed together.
final class OutgoingBatch {
    let topic: TopicPublisher
    let traits: BatchTraits
    private(set) var body: [UInt8]
    private(set) var eventCount = 0
    /// The longest of its events' payloads.
    private(set) var payloadLengthLongest = 0
    private(set) var firstID = BusUUID.zero
    /// Ids given to nobody else, for the events that bring none of their own.
    let reserved: BusUUID
    private var ids: [BusUUID] = []
    private var idsCountUp = true
    private var correlations: [BusUUID] = []
    private var causations: [BusUUID] = []
    private var orderingKeys: [UInt64] = []
    private var expiries: [Int64] = []
    /// Who waits for the receipt.
    var waiters: [Waiter] = []
    /// The windowed publishers that have events in it, each run of one with its place.
    var shares: [(publisher: WindowedPublisher.Link, events: Range<Int>)] = []
    /// Of requests: those who asked, in the order of the events.
    var attempts: [Conversation.Attempt] = []
    /// Whether the last event is empty: where it would become the last value, it clears it.
    private(set) var isTombstone = false
    /// When its one event is to be published, microseconds since 1970; nil for now.
    var due: Int64?
    /// How often it was refused for a reason that a new seal mends.
    var resealCount = 0
    /// Whether it was sent over a connection that was lost since: the daemon may have it.
    var wasSent = false
    /// What it is a part of, of which some events were known and others weren't.
    let part: SplitBatch.Part?
    /// Whether its events were published together: all of them or none.
    let isTogether: Bool

    /// Somebody who waits for the receipt of a run of this batch's events.
    struct Waiter {
        let number: UInt64
        let firstIndex: Int
        let count: Int
        let continuation: CheckedContinuation<Result<PublishReceipt, BusError>, Never>
    }

    /// - Parameter reserved: the first of as many ids as a batch can have events.
    init(
        topic: TopicPublisher, traits: BatchTraits, reserved: BusUUID, body: [UInt8], part: SplitBatch.Part? = nil,
        isTogether: Bool = false
    ) {
        self.part = part
        self.isTogether = isTogether
        self.reserved = reserved
        self.topic = topic
        self.traits = traits
        self.body = body
    }

    /// Gives the buffer back for another batch.
    func takeBody() -> [UInt8] {
        var taken: [UInt8] = []
        swap(&taken, &body)
        taken.removeAll(keepingCapacity: true)
        return taken
    }

    /// Bytes of the sealed batch as it stands.
    var sealedLength: Int {
        BatchHeader.length + columnsBound + body.count + BatchHeader.tagLength
    }

    /// A reply topic's name and its length: `$reply.` and a number of 20 digits.
    private static let replyToLengthMax = 28

    private var replyToBound: Int { traits.contains(.isRequest) ? OutgoingBatch.replyToLengthMax : 0 }

    private var columnsBound: Int {
        let uuids = (idsCountUp ? 0 : ids.count) + correlations.count + causations.count
        return 4 + replyToBound + 16 * uuids + 8 * (orderingKeys.count + expiries.count)
    }

    /// Whether another event keeps the batch within its bounds.
    ///
    /// - Parameters:
    ///   - length: of its record.
    ///   - new: the columns it needs.
    func hasRoom(for length: Int, _ new: EventColumns) -> Bool {
        guard eventCount > 0 else { return true }
        guard eventCount < topic.batchEventCountMax else { return false }
        // One event with a column of its own may make all others carry that column.
        let columnsLength = 4 + replyToBound + columns.union(new).width * (eventCount + 1)
        let whole = BatchHeader.length + columnsLength + body.count + length + BatchHeader.tagLength
        return columnsLength <= Limits.columnsLengthMax && whole <= lengthMax
    }

    /// The columns that another event may have to be in.
    private var columns: EventColumns {
        var columns: EventColumns = []
        // Ids that count up from one of the application's stop doing so with the next that has none.
        if !idsCountUp || firstID != reserved { columns.insert(.id) }
        if !correlations.isEmpty { columns.insert(.correlation) }
        if !causations.isEmpty { columns.insert(.causation) }
        if !orderingKeys.isEmpty { columns.insert(.orderingKey) }
        if !expiries.isEmpty { columns.insert(.expiry) }
        return columns
    }

    /// Whether it is within its topic's bounds, which may have changed since it began.
    var isWithinBounds: Bool {
        eventCount <= 1 || eventCount < topic.batchEventCountMax && sealedLength < lengthMax
    }

    private var lengthMax: Int {
        traits.contains(.retains) ? min(topic.batchLengthMax, Limits.retainedBatchLengthMax) : topic.batchLengthMax
    }

    func append(
        payload: UnsafeRawBufferPointer, headers: [EventHeader], marks: EventMarks, time: Int64
    ) {
        let id = marks.id ?? reserved.advanced(by: UInt64(eventCount)) ?? .zero
        if eventCount == 0 { firstID = id }
        note(id: id)
        note(marks.correlation ?? .zero, in: &correlations, absent: .zero)
        note(marks.causation ?? .zero, in: &causations, absent: .zero)
        note(marks.orderingKey, in: &orderingKeys, absent: 0)
        note(marks.expiry, in: &expiries, absent: 0)
        EventRecord.append(time: time, headers: headers, payload: payload, to: &body)
        eventCount += 1
        isTombstone = payload.isEmpty
        payloadLengthLongest = max(payloadLengthLongest, payload.count)
    }

    /// Whether its events may go each alone.
    var mayBeSplit: Bool { eventCount > 1 && !isTogether }

    /// Notes that the last event is this publisher's.
    func note(_ publisher: WindowedPublisher.Link) {
        let (index, last) = (eventCount - 1, shares.count - 1)
        // Nearly always it is the one and only.
        if last >= 0, shares[last].publisher === publisher, shares[last].events.upperBound == index {
            shares[last].events = shares[last].events.lowerBound..<eventCount
        } else {
            shares.append((publisher, index..<eventCount))
        }
    }

    private func note(id: BusUUID) {
        if idsCountUp, eventCount == 0 || firstID.advanced(by: UInt64(eventCount)) == id { return }
        if idsCountUp {
            idsCountUp = false
            ids = (0..<eventCount).map { firstID.advanced(by: UInt64($0)) ?? .zero }
        }
        ids.append(id)
    }

    private func note<V: Equatable>(_ value: V, in column: inout [V], absent: V) {
        guard value != absent || !column.isEmpty else { return }
        if column.isEmpty { column = Array(repeating: absent, count: eventCount) }
        column.append(value)
    }

    /// The id of event `index`.
    func id(at index: Int) -> BusUUID {
        idsCountUp ? firstID.advanced(by: UInt64(index)) ?? .zero : ids[index]
    }

    /// The batch under `sealer`'s next counter, in storage of its own.
    ///
    /// - Parameter replyTo: of requests: where answers go, which is another topic on each connection.
    func seal(
        _ sealer: inout Sealer, seal number: UInt64, replyTo: [UInt8] = [], scratch: inout [UInt8]
    ) throws(CryptoError) -> SharedBytes {
        var columns = BatchColumns()
        if !replyTo.isEmpty { columns.replyTo = .all(replyTo) }
        if !idsCountUp { columns.id = .each(ids) }
        if !correlations.isEmpty { columns.correlation = .shortest(correlations, absent: .zero) }
        if !causations.isEmpty { columns.causation = .shortest(causations, absent: .zero) }
        if !orderingKeys.isEmpty { columns.orderingKey = .shortest(orderingKeys, absent: 0) }
        if !expiries.isEmpty { columns.expiry = .shortest(expiries, absent: 0) }
        let header = BatchHeader(
            eventCount: UInt32(eventCount), seal: number, counter: sealer.nextCounter, firstID: firstID,
            columnsLength: 0, bodyLength: 0)
        return try SealedBatch.assemble(header, columns, body: body, scratch: &scratch) {
            (authenticated, plaintext, output) throws(CryptoError) in
            try sealer.seal(authenticating: authenticated, plaintext: plaintext, into: output)
        }
    }

    /// Each event alone, under its id.
    ///
    /// - Parameter whole: who waits for all of them; nil for requests, each of which has its own answer.
    func split(for whole: SplitBatch?) -> [OutgoingBatch] {
        var start = 0
        return (0..<eventCount).map { index in
            // A record begins with the length of what follows; they were written by this class.
            let length = body.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: start, as: UInt32.self) }
            let end = start + 4 + Int(UInt32(littleEndian: length))
            defer { start = end }
            return single(index, Array(body[start..<end]), whole.map { SplitBatch.Part(whole: $0, index: index) })
        }
    }

    private func single(_ index: Int, _ record: [UInt8], _ part: SplitBatch.Part?) -> OutgoingBatch {
        let id = id(at: index)
        let single = OutgoingBatch(
            topic: topic, traits: traits(ofEvent: index), reserved: id, body: record, part: part)
        single.firstID = id
        single.eventCount = 1
        var start = 0
        single.payloadLengthLongest =
            (try? EventRecord.next(in: SharedBytes(record), at: &start).payload.count) ?? payloadLengthLongest
        func value<V>(_ column: [V]) -> [V] { column.isEmpty ? [] : [column[index]] }
        single.correlations = value(correlations)
        single.causations = value(causations)
        single.orderingKeys = value(orderingKeys)
        single.expiries = value(expiries)
        single.isTombstone = single.payloadLengthLongest == 0
        if traits.contains(.isRequest), attempts.indices.contains(index) { single.attempts = [attempts[index]] }
        return single
    }

    /// What holds for one event when it goes alone. Of events that were published one by one each becomes the last value,
    /// so that the last one that is taken is left as such; of those that go together only the last was to.
    private func traits(ofEvent index: Int) -> BatchTraits {
        if traits.contains(.isRequest) { return traits }
        let its = isTogether && index < eventCount - 1 ? traits.subtracting(.retains) : traits
        return its.union(.isAgain)
    }
}
