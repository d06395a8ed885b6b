import BusTesting
import BusWire
import Testing

@Suite struct BusServerTests {
    @Test func `a peer that says hello is welcomed`() throws {
        let bus = try TestBus()
        let peer = try RawPeer(bus.socket)
        #expect(try peer.greet().version == 1)
    }
}
