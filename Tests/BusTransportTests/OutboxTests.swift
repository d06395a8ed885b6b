import BusWire
import CLinux
import Glibc
import Testing

@testable import BusTransport

@Suite final class OutboxTests {
    private let vectors = UnsafeMutablePointer<iovec>.allocate(capacity: 16)

    deinit { vectors.deallocate() }

    private func bytes(_ outbox: Outbox) -> [UInt8] {
        let count = outbox.gather(into: vectors, capacity: 16).vectors
        return (0..<count).flatMap { index in
            [UInt8](UnsafeRawBufferPointer(start: vectors[index].iov_base, count: vectors[index].iov_len))
        }
    }

    private func add(_ bytes: [UInt8], to outbox: Outbox, capacity: Int? = nil) {
        let storage = ByteStorage(capacity: capacity ?? bytes.count)
        bytes.withUnsafeBytes { storage.base.copyMemory(from: $0.baseAddress!, byteCount: $0.count) }
        outbox.append(storage.base, count: bytes.count, storage: storage)
    }

    @Test func `bytes behind each other share a vector`() {
        let outbox = Outbox()
        let storage = ByteStorage(capacity: 8)
        outbox.append(storage.base, count: 3, storage: storage)
        outbox.append(storage.base + 3, count: 2, storage: storage)
        outbox.append(storage.base + 6, count: 2, storage: storage)
        #expect(outbox.gather(into: vectors, capacity: 16) == (2, 7))
    }

    @Test func `advancing by any number leaves exactly the rest`() {
        let parts: [[UInt8]] = [[1, 2, 3], [4], [5, 6, 7, 8], [9, 10]]
        let all = Array(parts.joined())
        for first in 0...all.count {
            for second in 0...(all.count - first) {
                let outbox = Outbox()
                for part in parts { add(part, to: outbox) }
                outbox.advance(first)
                outbox.compact()
                outbox.advance(second)
                #expect(bytes(outbox) == Array(all[(first + second)...]))
                #expect(outbox.pending == all.count - first - second)
            }
        }
    }

    @Test func `what outlives its round lets go of large storage`() {
        let outbox = Outbox()
        add([1, 2, 3], to: outbox, capacity: 4096)
        add([4, 5], to: outbox, capacity: 4096)
        add([UInt8](repeating: 6, count: 100), to: outbox, capacity: 128)
        outbox.advance(1)
        outbox.compact()
        #expect(outbox.pinned < 200)
        #expect(bytes(outbox) == [2, 3, 4, 5] + [UInt8](repeating: 6, count: 100))
        add([7], to: outbox, capacity: 4096)
        outbox.compact()
        #expect(outbox.pinned < 200)
        outbox.advance(outbox.pending)
        #expect(outbox.pinned == 0)
        #expect(outbox.isEmpty)
    }

    @Test func `one call is offered at most so many bytes`() {
        let outbox = Outbox()
        add([UInt8](repeating: 0, count: Outbox.bytesPerSendMax - 1), to: outbox)
        add([UInt8](repeating: 0, count: 100), to: outbox)
        #expect(outbox.gather(into: vectors, capacity: 16) == (2, Outbox.bytesPerSendMax))
        #expect(outbox.gather(into: vectors, capacity: 1) == (1, Outbox.bytesPerSendMax - 1))
    }
}
