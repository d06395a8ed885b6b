import BusWire
import Testing

@testable import BusTransport

@Suite struct StorageAreaTests {
    @Test func `pieces follow each other while somebody looks, and begin anew when nobody does`() {
        var area = StorageArea(capacity: 100)
        area.makeRoom(40)
        var held: ByteStorage? = area.storage
        area.commit(33)
        area.makeRoom(40)
        #expect(area.position == 33)
        area.align()
        #expect(area.position == 48)
        _ = held?.capacity
        held = nil
        area.makeRoom(40)
        #expect(area.position == 0)
    }

    @Test func `full storage is put aside and used again when it is free`() {
        var area = StorageArea(capacity: 100)
        var held: [ByteStorage] = []
        for _ in 0..<3 {
            area.makeRoom(80)
            held.append(area.storage)
            area.commit(80)
        }
        #expect(Set(held.map(ObjectIdentifier.init)).count == 3)
        let first = ObjectIdentifier(held.removeFirst())
        area.makeRoom(80)
        #expect(ObjectIdentifier(area.storage) == first)
        withExtendedLifetime(held) {}
    }
}
