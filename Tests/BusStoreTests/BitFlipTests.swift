import BusWire
import Testing

@testable import BusStore

@Suite struct BitFlipTests {
    /// A crashed store: some of it in the database, some in the log, and a head.
    private func crashedWorld() throws -> StoreWorld {
        let world = try StoreWorld()
        try world.write([StoreWorld.newTopic(), StoreWorld.newTopic(StoreWorld.other, "b")])
        try append(world, 1...150)
        try world.close()
        try append(world, 151...300)
        return try world.crashed()
    }

    private func append(_ world: StoreWorld, _ positions: ClosedRange<UInt64>) throws {
        for position in positions where position % 10 == 0 {
            try world.write((position - 9...position).map { .append(batch($0), ids: []) })
        }
    }

    private func batch(_ n: UInt64) -> StoredBatch {
        StoreWorld.batch(n, topic: n % 3 == 0 ? StoreWorld.topic : StoreWorld.other)
    }

    @Test func `A flipped bit anywhere is told of, or harmless; no event is wrong, none is missing in silence`()
        async throws
    {
        let whole = try crashedWorld()
        let files = ["store.db", "store.db-wal", "store.head"].map { ($0, whole.file($0)) }
        var generator = SplitMix(state: 20_261_124)
        var (detected, refused) = (0, 0)
        for round in 0..<200 {
            let world = try StoreWorld()
            let (target, bytes) = files[round % 3]
            let bit = Int(generator.next() % UInt64(bytes.count * 8))
            for (name, bytes) in files {
                var bytes = bytes
                if name == target { bytes[bit / 8] ^= 1 << UInt8(bit % 8) }
                world.setFile(name, bytes)
            }
            let what = "round \(round): bit \(bit) of \(target)"
            // A store that doesn't open is told of loudly.
            guard let store = try? world.open() else {
                refused += 1
                continue
            }
            let served: [StoredBatch]
            do { served = try await world.batches(1..<301) } catch is StoreError {
                refused += 1
                continue
            }
            for found in served { #expect(found == batch(found.position), "\(what)") }
            _ = try store.topics()
            let damage = store.report.damage + world.damage
            if served.count < 300 { #expect(!damage.isEmpty, "\(what): \(served.count) of 300 events and no word") }
            #expect(store.report.nextPosition == 301, "\(what): positions would be given twice")
            if !damage.isEmpty { detected += 1 }
        }
        #expect(detected > 50)
        #expect(refused < 20, "nearly everything can be served")
    }
}

/// Numbers that look random and are the same each time.
struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }
}
