import CLinux
import Glibc
import SystemPackage
import Testing

@testable import BusTransport

@Suite struct DescriptorWatchTests {
    @Test func `a readable descriptor is told about in every round until cancelled`() throws {
        try withReactor { reactor in
            let descriptor = OwnedDescriptor(raw: eventfd(1, CInt(EFD_NONBLOCK)))
            var count = 0
            let watch = try DescriptorWatch(descriptor.borrowed, on: reactor) { count += 1 }
            reactor.turn { count == 2 }
            watch.cancel()
            watch.cancel()
            reactor.turn(waitingAtMost: 0)
            #expect(count == 2)
        }
    }
}
