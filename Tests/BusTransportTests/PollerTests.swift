import CLinux
import Glibc
import Testing

@testable import BusTransport

@Suite struct PollerTests {
    @Test func `an event of a descriptor that has been removed finds nobody`() throws {
        try withReactor { reactor in
            let peer = Peer()
            let (connection, far) = try connected(reactor, peer)
            _ = far.send([1])
            #expect(reactor.poller.wait(nanoseconds: 0) == 1)
            connection.finish(.closedByOwner)
            let (_, other) = try connected(reactor, peer)
            _ = other.send([2])
            guard case .vacant = reactor.poller.event(at: 0).source else {
                Issue.record("the slot's next owner was told")
                return
            }
        }
    }

    @Test func `a wake-up ends the wait and is used up`() throws {
        let poller = try Poller()
        poller.wake()
        poller.wake()
        #expect(poller.wait(nanoseconds: nil) == 1)
        _ = poller.event(at: 0)
        #expect(poller.wait(nanoseconds: 0) == 0)
    }
}
