import BusWire
import Testing

@Suite("Shared bytes")
struct SharedBytesTests {
    @Test("are windows on one storage")
    func slices() {
        let bytes = SharedBytes(run(0, 10))
        let slice = bytes.slice(2..<8)
        #expect(slice.array == [2, 3, 4, 5, 6, 7] && slice.storage === bytes.storage && slice.offset == 2)
        let narrower = slice.slice(1..<3)
        #expect(narrower.array == [3, 4] && narrower.offset == 3 && narrower[1] == 4)
        #expect(slice.slice(6..<6).isEmpty)
    }

    @Test("are equal when their bytes are")
    func equality() {
        let bytes = SharedBytes([1, 2, 1, 2])
        #expect(bytes.slice(0..<2) == bytes.slice(2..<4))
        #expect(bytes.slice(0..<2) != bytes.slice(1..<3))
        #expect(bytes.slice(0..<2) != bytes.slice(0..<3))
        #expect(SharedBytes([]) == .empty)
    }

    @Test("move out of storage they fill less than half of, and only then")
    func compacted() {
        let storage = ByteStorage(capacity: 100)
        for i in 0..<100 { storage.base.storeBytes(of: UInt8(i), toByteOffset: i, as: UInt8.self) }
        let half = SharedBytes(storage: storage, offset: 10, count: 50)
        #expect(half.compacted().storage === storage)
        let less = SharedBytes(storage: storage, offset: 10, count: 49)
        #expect(less.compacted() == less)
        #expect(less.compacted().storage !== storage && less.compacted().storage.capacity == 49)
        #expect(SharedBytes(storage: storage, offset: 50, count: 0).compacted().storage.capacity == 0)
    }

    @Test("outlive what they were cut from")
    func lifetime() {
        func cut() -> SharedBytes { SharedBytes(run(0, 1 << 16)).slice(65_000..<65_003) }
        let first: UInt8 = 0xe8  // of 65,000
        #expect(cut().array == run(first, 3))
        #expect(cut()[0] == first)
        let copy = cut().withUnsafeBytes { [UInt8]($0) }
        #expect(copy == run(first, 3))
    }
}
