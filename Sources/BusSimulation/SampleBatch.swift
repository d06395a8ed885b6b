// Batches as the broker sees them: an honest header, columns, and a body nobody opens.

public import BusWire

/// What a made-up batch is like.
public struct SampleBatch: Sendable, CustomStringConvertible {
    /// Its seal's number.
    public var seal: UInt64
    /// Which batch of its seal it is.
    public var counter: UInt64
    /// How many events it pretends to hold.
    public var eventCount: UInt32
    /// Its first event's id.
    public var firstID: BusUUID
    /// Bytes of payload in all.
    public var payloadLength: Int
    /// What the daemon may read of its events.
    public var columns = BatchColumns()
    /// Whether its columns contradict themselves, which only reading them shows.
    public var hasBadColumns = false
    /// Whether its header contradicts its length.
    public var hasBadHeader = false

    /// A batch of these parts; ids begin at a number that isn't zero.
    public init(
        seal: UInt64, counter: UInt64, eventCount: UInt32 = 1, firstID: BusUUID = BusUUID(high: 0, low: 1),
        payloadLength: Int = 0
    ) {
        self.seal = seal
        self.counter = counter
        self.eventCount = eventCount
        self.firstID = firstID
        self.payloadLength = payloadLength
    }

    /// Its bytes.
    public var bytes: SharedBytes {
        var encoded: [UInt8] = []
        columns.encode(into: &encoded)
        // Values for each event of a column that isn't present: the bitmap contradicts itself.
        if hasBadColumns { encoded = [0b10, 0, 0, 0] }
        let body = BatchHeader.tagLength + EventRecord.lengthMin * Int(eventCount) + payloadLength
        var out: [UInt8] = []
        let header = BatchHeader(
            eventCount: eventCount, seal: seal, counter: counter, firstID: firstID,
            columnsLength: UInt32(encoded.count), bodyLength: UInt32(body) + (hasBadHeader ? 1 : 0))
        header.encode(into: &out)
        out += encoded
        out += repeatElement(0x5a, count: body)
        return SharedBytes(out)
    }

    /// What it is, in a line.
    public var description: String {
        let correlations = (0..<Int(eventCount)).compactMap { columns.correlation[$0] }
        return "batch \(counter) of seal \(seal), \(eventCount) events, \(payloadLength) bytes"
            + (correlations.isEmpty ? "" : ", correlations \(correlations)")
            + (hasBadColumns || hasBadHeader ? ", bad" : "")
    }

    /// The id of event `place`: counted up from the first.
    public func id(at place: Int) -> BusUUID { firstID.advanced(by: UInt64(place)) ?? firstID }
}
