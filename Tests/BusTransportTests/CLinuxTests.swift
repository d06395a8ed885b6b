import CLinux
import Glibc
import Testing

@testable import BusTransport

@Suite struct CLinuxTests {
    @Test func `descriptors travel with bytes`() throws {
        let (near, far) = try socketPair()
        let (a, b) = try socketPair()
        let numbers = [a.fd, b.fd]
        #expect(linux_send_descriptors(near.fd, [1, 2], 2, numbers, 2) == 2)
        var bytes = [UInt8](repeating: 0, count: 8)
        var got = [CInt](repeating: -1, count: Int(LINUX_DESCRIPTORS_MAX))
        var count = 0
        #expect(linux_receive_descriptors(far.fd, &bytes, 8, &got, &count) == 2)
        #expect(count == 2)
        let first = RawSocket(fd: got[0])
        let second = RawSocket(fd: got[1])
        #expect(first.send([5]) == 1)
        #expect(second.receiveAvailable() == [5])
    }

    @Test func `epoll events have the kernel's layout`() {
        #if arch(x86_64)
            #expect(MemoryLayout<epoll_event>.size == 12)
        #else
            #expect(MemoryLayout<epoll_event>.size == 16)
        #endif
    }
}
