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

    @Test func `a pipe whose reader is gone is told about, one that is only not read isn't`() throws {
        try withReactor { reactor in
            var ends: [CInt] = [0, 0]
            try #require(pipe(&ends) == 0)
            let writer = OwnedDescriptor(raw: ends[1])
            var count = 0
            let watch = try DescriptorWatch(writer.borrowed, for: .hangUp, on: reactor) { count += 1 }
            reactor.turn(waitingAtMost: 0)
            #expect(count == 0)
            close(ends[0])
            reactor.turn { count == 1 }
            watch.cancel()
        }
    }
}
