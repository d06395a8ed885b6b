// Bytes shared by reference.
//
// A batch is received once and then read by the broker, by every subscriber's connection and, later, by the
// store. None of them copies it: each holds a `SharedBytes`, a window on a `ByteStorage` that lives as long as
// somebody looks at it. Storage is filled by one owner before it is shared and is never written afterwards;
// `isUniquelyReferenced` on the storage tells the owner when it may fill it again.

/// Raw memory of a fixed capacity, kept alive by reference.
///
/// Filled by one owner, then shared read-only. `Sendable` because nobody writes once it is shared.
public final class ByteStorage: @unchecked Sendable {
    /// Where the bytes are.
    public let base: UnsafeMutableRawPointer
    /// How many bytes there are.
    public let capacity: Int

    /// Allocates `capacity` bytes without clearing them.
    ///
    /// - Parameter capacity: in bytes, not negative.
    public init(capacity: Int) {
        self.capacity = capacity
        base = UnsafeMutableRawPointer.allocate(byteCount: max(capacity, 1), alignment: 16)
    }

    deinit { base.deallocate() }
}

/// A read-only window on shared storage. Copying it copies a reference, not the bytes.
public struct SharedBytes: Sendable {
    /// What keeps the bytes alive.
    public let storage: ByteStorage
    /// First byte of the window, from the beginning of the storage.
    public let offset: Int
    /// Length of the window in bytes.
    public let count: Int

    /// A window on `storage`; it must lie inside.
    public init(storage: ByteStorage, offset: Int, count: Int) {
        precondition(offset >= 0 && count >= 0 && offset <= storage.capacity - count, "window outside its storage")
        self.storage = storage
        self.offset = offset
        self.count = count
    }

    /// A copy of `bytes` in storage of its own.
    public init(copying bytes: UnsafeRawBufferPointer) {
        let storage = ByteStorage(capacity: bytes.count)
        if let source = bytes.baseAddress { storage.base.copyMemory(from: source, byteCount: bytes.count) }
        self.init(storage: storage, offset: 0, count: bytes.count)
    }

    /// A copy of `bytes` in storage of its own.
    public init(_ bytes: [UInt8]) {
        self = bytes.withUnsafeBytes { SharedBytes(copying: $0) }
    }

    /// No bytes.
    public static let empty = SharedBytes([])

    /// Whether there are no bytes.
    public var isEmpty: Bool { count == 0 }

    /// Where the window begins. Valid while somebody holds the storage; `withUnsafeBytes` holds it for its body.
    public var base: UnsafeRawPointer { UnsafeRawPointer(storage.base + offset) }

    /// The bytes as a buffer, valid inside `body`.
    @inlinable
    public func withUnsafeBytes<R, E: Error>(_ body: (UnsafeRawBufferPointer) throws(E) -> R) throws(E) -> R {
        // The storage may otherwise be freed after its last mention, which is before `body`.
        try withExtendedLifetime(storage) { () throws(E) -> R in
            try body(UnsafeRawBufferPointer(start: base, count: count))
        }
    }

    /// One byte; `index` counts from the beginning of the window.
    public subscript(index: Int) -> UInt8 {
        precondition(index >= 0 && index < count, "index outside the window")
        return withUnsafeBytes { $0[index] }
    }

    /// A narrower window on the same storage; `range` counts from the beginning of this one.
    public func slice(_ range: Range<Int>) -> SharedBytes {
        precondition(range.lowerBound >= 0 && range.upperBound <= count, "slice outside the window")
        return SharedBytes(storage: storage, offset: offset + range.lowerBound, count: range.count)
    }

    /// The bytes as an array of their own.
    public var array: [UInt8] { withUnsafeBytes { [UInt8]($0) } }

    /// The same bytes, in storage of their own unless they fill at least half of the one they are in.
    ///
    /// What outlives its round is compacted, so that a parked batch of 200 bytes never pins 64 KiB.
    public func compacted() -> SharedBytes {
        count * 2 >= storage.capacity ? self : withUnsafeBytes { SharedBytes(copying: $0) }
    }
}

extension SharedBytes: Equatable {
    /// Equality of the bytes, not of the storage.
    public static func == (a: SharedBytes, b: SharedBytes) -> Bool {
        a.count == b.count && a.withUnsafeBytes { x in b.withUnsafeBytes { y in x.elementsEqual(y) } }
    }
}
