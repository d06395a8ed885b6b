// Which events of a batch are meant: a batch travels whole, so that it need not be sealed again, and the selection
// says what of it is for this subscriber. Bit k of byte k/8 stands for event k; no bytes at all mean all of them.

/// Events of one batch.
public struct Selection: Sendable, Equatable {
    /// The bits as on the wire, up to the last byte with one; empty for all events.
    public private(set) var bytes: [UInt8]

    /// All events.
    public static let all = Selection(bytes: [])

    private init(bytes: [UInt8]) { self.bytes = bytes }

    /// Consecutive events.
    ///
    /// - Parameters:
    ///   - range: their places in the batch, not empty.
    ///   - count: how many events the batch has; a range of all of them is `all`.
    public init(_ range: Range<Int>, of count: Int) {
        precondition(!range.isEmpty && range.lowerBound >= 0 && range.upperBound <= count, "a range within its batch")
        guard range.count < count else {
            bytes = []
            return
        }
        bytes = [UInt8](repeating: 0, count: (range.upperBound + 7) / 8)
        for index in range { bytes[index >> 3] |= 1 << UInt8(index & 7) }
    }

    /// The events for which `isSelected` holds, of a batch of `count`; nil if there is none.
    public init?(of count: Int, where isSelected: (Int) -> Bool) {
        var bits = [UInt8](repeating: 0, count: (count + 7) / 8)
        var found = 0
        for index in 0..<count where isSelected(index) {
            bits[index >> 3] |= 1 << UInt8(index & 7)
            found += 1
        }
        guard found > 0 else { return nil }
        while bits.last == 0 { bits.removeLast() }
        bytes = found == count ? [] : bits
    }

    /// A selection as it came, checked against its batch: some event, and none that isn't there.
    public init(_ bytes: SharedBytes, of count: Int) throws(WireError) {
        guard !bytes.isEmpty else {
            self = .all
            return
        }
        guard bytes.count <= (count + 7) / 8 else {
            throw .invalid(frame: .deliver, what: "a selection of \(bytes.count) bytes for \(count) events")
        }
        self.init(bytes: bytes.array)
        let selected = self.count(of: count)
        guard selected > 0, selected == self.bytes.reduce(0, { $0 + $1.nonzeroBitCount }) else {
            throw .invalid(frame: .deliver, what: "a selection of no event, or of one that isn't there")
        }
        // One form for each set of events, however long it was written.
        if selected == count { self = .all }
        while self.bytes.last == 0 { self.bytes.removeLast() }
    }

    /// Whether all events are meant.
    public var isAll: Bool { bytes.isEmpty }

    /// Whether event `index` is meant.
    public func contains(_ index: Int) -> Bool {
        guard !bytes.isEmpty else { return true }
        return index >> 3 < bytes.count && bytes[index >> 3] & (1 << UInt8(index & 7)) != 0
    }

    /// How many events of a batch of `count` are meant.
    public func count(of count: Int) -> Int {
        guard !bytes.isEmpty else { return count }
        var sum = 0
        for (i, byte) in bytes.enumerated() {
            let within = count - 8 * i
            let mask: UInt8 = within >= 8 ? 0xff : within <= 0 ? 0 : (1 << UInt8(within)) - 1
            sum += (byte & mask).nonzeroBitCount
        }
        return sum
    }

    /// The first and last of a batch's `count` events that are meant.
    public func bounds(of count: Int) -> ClosedRange<Int> {
        guard !bytes.isEmpty else { return 0...count - 1 }
        // Byte by byte: it is asked of every portion whenever a place is saved.
        guard let low = bytes.firstIndex(where: { $0 != 0 }), let high = bytes.lastIndex(where: { $0 != 0 }) else {
            return 0...0
        }
        let first = min(low * 8 + bytes[low].trailingZeroBitCount, count - 1)
        return first...max(first, min(high * 8 + 7 - bytes[high].leadingZeroBitCount, count - 1))
    }
}
