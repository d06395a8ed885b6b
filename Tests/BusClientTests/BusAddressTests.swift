import BusClient
import Testing

@Suite struct BusAddressTests {
    @Test func `the host's bus and its named buses have their places`() {
        #expect(BusAddress.system().path == "/run/localbus/bus.sock")
        #expect(BusAddress.system(named: "kitchen").path == "/run/localbus/kitchen/bus.sock")
        #expect(BusAddress(path: "/x").description == "/x")
    }
}
