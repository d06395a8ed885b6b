import Glibc
import SystemPackage
import Testing

@testable import BusTransport

@Suite struct OwnedDescriptorTests {
    @Test func `it is closed with its owner, and not when it was given away`() throws {
        let (near, far) = try socketPair()
        let given = try far.take().release()
        #expect(near.receiveOnce() == Int(-EAGAIN))
        do {
            let again = OwnedDescriptor(given)
            _ = again.borrowed
        }
        #expect(near.receiveOnce() == 0)
    }
}
