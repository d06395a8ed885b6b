import BusWire
import Testing

@testable import BusStore

@Suite struct HeadFileTests {
    private func head(_ commit: UInt64) -> Head {
        Head(incarnation: BusUUID(high: 1, low: 2), commit: commit, nextPosition: commit * 10)
    }

    @Test func `The last of what was written is read, and with it torn the one before`() throws {
        let world = try StoreWorld()
        let path = world.directory + "/store.head"
        #expect(try HeadFile(path).read() == nil)
        for commit in UInt64(1)...5 { try HeadFile(path).write(head(commit)) }
        #expect(try HeadFile(path).read() == head(5))
        var bytes = world.file("store.head")
        #expect(bytes.count == 1024)
        bytes[512 + 20] ^= 1
        world.setFile("store.head", bytes)
        #expect(try HeadFile(path).read() == head(4))
        bytes[20] ^= 1
        world.setFile("store.head", bytes)
        #expect(try HeadFile(path).read() == nil)
    }
}
