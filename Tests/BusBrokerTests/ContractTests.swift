// Identities and moments.

import Testing

@testable import BusBroker

@Suite struct ContractTests {
    @Test func sessionsAreToldApartByTheirNumber() {
        #expect(SessionID(1) == SessionID(1) && SessionID(1) != SessionID(2))
        #expect("\(SessionID(42))" == "42")
    }

    @Test func aPeerIsItsUserAndItsGroup() {
        #expect(PeerIdentity(uid: 1, gid: 2) != PeerIdentity(uid: 1, gid: 3))
        #expect(PeerIdentity(uid: 1, gid: 2) == PeerIdentity(uid: 1, gid: 2))
    }
}
