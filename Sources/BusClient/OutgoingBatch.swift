// Consecutive events for one topic, in plain, from the first event to the receipt: what is sealed, and sealed again
// after a reconnect, with the same ids.

import BusCrypto
import BusWire

/// Events that will be sealed together.
final class OutgoingBatch {
    let topic: TopicPublisher
    let wantsReceipt: Bool
    private(set) var body: [UInt8]
    private(set) var eventCount = 0
    private(set) var firstID = BusUUID.zero
    private var ids: [BusUUID] = []
    private var idsCountUp = true
    private var correlations: [BusUUID] = []
    private var causations: [BusUUID] = []
    /// Who waits for the receipt.
    var waiters: [Waiter] = []
    /// How often it was refused for a reason that a new seal mends.
    var resealCount = 0

    /// Somebody who waits for the receipt of a run of this batch's events.
    struct Waiter {
        let number: UInt64
        let firstIndex: Int
        let count: Int
        let continuation: CheckedContinuation<Result<PublishReceipt, BusError>, Never>
    }

    init(topic: TopicPublisher, wantsReceipt: Bool, body: [UInt8]) {
        self.topic = topic
        self.wantsReceipt = wantsReceipt
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

    private var columnsBound: Int {
        4 + (idsCountUp ? 0 : 16 * ids.count) + 16 * correlations.count + 16 * causations.count
    }

    /// Whether another event of this size keeps the batch within its bounds.
    func hasRoom(for length: Int, id: BusUUID, isPlain: Bool) -> Bool {
        guard eventCount > 0 else { return true }
        guard eventCount < topic.batchEventCountMax, sealedLength + length <= topic.batchLengthMax else { return false }
        let next = firstID.advanced(by: UInt64(eventCount))
        // Columns hold at most 16 KiB: an event that makes every other one carry a column of its own begins a batch.
        if idsCountUp, next == id, isPlain, correlations.isEmpty, causations.isEmpty { return true }
        return columnsBound + 3 * 16 * (eventCount + 1) <= Limits.columnsLengthMax
    }

    func append(
        payload: UnsafeRawBufferPointer, headers: [EventHeader], id: BusUUID, correlation: BusUUID?,
        causation: BusUUID?, time: Int64
    ) {
        if eventCount == 0 { firstID = id }
        note(id: id)
        note(correlation, in: &correlations)
        note(causation, in: &causations)
        EventRecord.append(time: time, headers: headers, payload: payload, to: &body)
        eventCount += 1
    }

    private func note(id: BusUUID) {
        if idsCountUp, eventCount == 0 || firstID.advanced(by: UInt64(eventCount)) == id { return }
        if idsCountUp {
            idsCountUp = false
            ids = (0..<eventCount).map { firstID.advanced(by: UInt64($0)) ?? .zero }
        }
        ids.append(id)
    }

    private func note(_ value: BusUUID?, in column: inout [BusUUID]) {
        guard value != nil || !column.isEmpty else { return }
        if column.isEmpty { column = Array(repeating: .zero, count: eventCount) }
        column.append(value ?? .zero)
    }

    /// The id of event `index`.
    func id(at index: Int) -> BusUUID {
        idsCountUp ? firstID.advanced(by: UInt64(index)) ?? .zero : ids[index]
    }

    /// The batch under `sealer`'s next counter, in storage of its own.
    func seal(_ sealer: inout Sealer, seal number: UInt64, scratch: inout [UInt8]) throws(CryptoError) -> SharedBytes {
        var columns = BatchColumns()
        if !idsCountUp { columns.id = .each(ids) }
        columns.correlation = .shortest(correlations, absent: .zero)
        columns.causation = .shortest(causations, absent: .zero)
        scratch.removeAll(keepingCapacity: true)
        columns.encode(into: &scratch)
        let columnsLength = scratch.count
        scratch.removeAll(keepingCapacity: true)
        BatchHeader(
            eventCount: UInt32(eventCount), seal: number, counter: sealer.nextCounter, firstID: firstID,
            columnsLength: UInt32(columnsLength), bodyLength: UInt32(body.count + Sealer.overhead)
        ).encode(into: &scratch)
        columns.encode(into: &scratch)
        let storage = ByteStorage(capacity: scratch.count + body.count + Sealer.overhead)
        scratch.withUnsafeBytes { head in
            if let base = head.baseAddress { storage.base.copyMemory(from: base, byteCount: head.count) }
        }
        let authenticated = UnsafeRawBufferPointer(start: storage.base, count: scratch.count)
        let output = UnsafeMutableRawBufferPointer(
            start: storage.base + scratch.count, count: body.count + Sealer.overhead)
        var outcome: Result<Void, CryptoError> = .success(())
        body.withUnsafeBytes { plaintext in
            do throws(CryptoError) {
                try sealer.seal(authenticating: authenticated, plaintext: plaintext, into: output)
            } catch {
                outcome = .failure(error)
            }
        }
        try outcome.get()
        return SharedBytes(storage: storage, offset: 0, count: storage.capacity)
    }
}
