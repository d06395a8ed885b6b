import Testing

@testable import BusCrypto

@Suite struct SecretArenaTests {
    @Test("A slot given back is zeroed, and no two owners share one")
    func slots() {
        let arena = SecretArena()
        let slots = (0..<1_000).map { _ in arena.take() }
        #expect(Set(slots.map { $0.bytes.baseAddress }).count == slots.count)
        for slot in slots {
            #expect(slot.bytes.count == SecretSlot.byteCount)
            slot.bytes.initializeMemory(as: UInt8.self, repeating: 0xff)
        }
        for slot in slots { arena.giveBack(slot) }
        let again = (0..<1_000).map { _ in arena.take() }
        #expect(Set(again.map { $0.bytes.baseAddress }) == Set(slots.map { $0.bytes.baseAddress }))
        #expect(again.allSatisfy { $0.bytes.allSatisfy { $0 == 0 } })
    }

    @Test("Owners on several threads get slots of their own")
    func threads() async {
        let arena = SecretArena()
        let mixed = await withTaskGroup(of: Int.self) { group in
            for mark in 0..<8 as Range<UInt8> {
                group.addTask {
                    var foreign = 0
                    for _ in 0..<2_000 {
                        let slot = arena.take()
                        foreign += slot.bytes.count { $0 != 0 }
                        slot.bytes.initializeMemory(as: UInt8.self, repeating: mark + 1)
                        foreign += slot.bytes.count { $0 != mark + 1 }
                        arena.giveBack(slot)
                    }
                    return foreign
                }
            }
            return await group.reduce(0, +)
        }
        #expect(mixed == 0)
    }

    @Test("The process that made its secrets is not forked, and whether they are locked can be asked")
    func questions() {
        #expect(!ForkGuard.isForked)
        _ = SecretMemory.isLocked
    }
}
