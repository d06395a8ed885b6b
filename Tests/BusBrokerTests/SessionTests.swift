// A session's beginnings.

import Testing

@testable import BusBroker

@Suite struct SessionTests {
    @Test func itHoldsNothingBeforeItsHello() throws {
        let bench = Bench()
        bench.round(.connected(SessionID(1), PeerIdentity(uid: 1000, gid: 1001)))
        let session = try #require(bench.broker.sessions[SessionID(1)])
        #expect(session.phase == .greeting && session.progress == 0 && session.seals.isEmpty)
        #expect(session.peer == PeerIdentity(uid: 1000, gid: 1001) && session.account.uid == 1000)
    }

    @Test func itsNameComesWithTheHello() {
        #expect(Bench().open(1).session?.name == "p1")
    }

    @Test func aSecondHelloChangesNothing() {
        let bench = Bench()
        let peer = bench.open(1)
        bench.round(.authenticated(peer.id, name: "other"))
        #expect(peer.session?.name == "p1")
        #expect(bench.broker.totals.sessionsOpened == 1)
    }
}
