// A reactor turned by hand, a peer that notes what happens, and raw sockets.
//
// Tests run on one thread and wait for conditions, never for time.

import BusWire
import CLinux
import Glibc
import SystemPackage
import Testing

@testable import BusTransport

/// Notes what a connection tells its owner; answers as `answer` says.
final class Peer: ConnectionOwner {
    var windows: [SharedBytes] = []
    var drained: [Bool] = []
    var blockedCount = 0
    var reasons: [CloseReason] = []
    var keepsWindows = false
    var bytes: [UInt8] = []
    /// Far ends that must not close before the test does it.
    var farEnds: [RawSocket] = []
    var answer: (Connection, SharedBytes) -> Consumption = { _, bytes in Consumption(consumed: bytes.count) }

    func connection(_ connection: Connection, received bytes: SharedBytes) -> Consumption {
        let answer = answer(connection, bytes)
        self.bytes += bytes.slice(0..<answer.consumed).array
        if keepsWindows { windows.append(bytes) }
        return answer
    }

    func connectionDrained(_ connection: Connection, afterBlocking: Bool) { drained.append(afterBlocking) }
    func connectionBlocked(_ connection: Connection) { blockedCount += 1 }
    func connectionClosed(_ connection: Connection, reason: CloseReason) { reasons.append(reason) }
}

/// Answers like a decoder of frames: four bytes of length (of the whole frame), then the rest.
func framed(_ each: @escaping (SharedBytes) -> Void) -> (Connection, SharedBytes) -> Consumption {
    { _, bytes in
        var position = 0
        while bytes.count - position >= 4 {
            let length = Int(bytes.base.loadUnaligned(fromByteOffset: position, as: UInt32.self))
            guard bytes.count - position >= length else { return Consumption(consumed: position, needed: length) }
            each(bytes.slice(position..<position + length))
            position += length
        }
        return Consumption(consumed: position)
    }
}

/// A frame as `framed` reads it, filled with a pattern.
func frame(_ length: Int, seed: UInt8 = 1) -> [UInt8] {
    var bytes = pattern(length, seed: seed)
    withUnsafeBytes(of: UInt32(length)) { bytes.replaceSubrange(0..<4, with: $0) }
    return bytes
}

func pattern(_ count: Int, seed: UInt8 = 1) -> [UInt8] {
    (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ Int(seed)) }
}

func withReactor(_ body: (Reactor) throws -> Void) throws {
    let reactor = try Reactor(name: "test")
    defer { reactor.endEverything() }
    try body(reactor)
}

extension Reactor {
    /// Turns until `condition` holds; a test that waits for ten seconds has failed.
    func turn(until condition: () -> Bool, location: SourceLocation = #_sourceLocation) {
        let limit = MonotonicInstant.now() + .seconds(10)
        while !condition() {
            guard MonotonicInstant.now() < limit else {
                Issue.record("the condition never held", sourceLocation: location)
                return
            }
            turn(waitingAtMost: 10_000_000)
        }
    }
}

/// A socket used with plain system calls.
final class RawSocket {
    private var descriptor: OwnedDescriptor?
    let fd: CInt

    init(fd: CInt) {
        self.fd = fd
        descriptor = OwnedDescriptor(raw: fd)
    }

    func close() { descriptor = nil }

    /// Gives the descriptor away.
    func take() throws -> OwnedDescriptor {
        let taken = descriptor.take()
        guard let taken else { throw Errno.badFileDescriptor }
        return taken
    }

    /// Sends what the kernel takes now.
    func send(_ bytes: [UInt8]) -> Int { bytes.withUnsafeBytes { linux_send(fd, $0.baseAddress, $0.count) } }

    /// Everything there is to read now.
    func receiveAvailable() -> [UInt8] {
        var result: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65536)
        while true {
            let count = linux_receive(fd, &buffer, buffer.count)
            guard count > 0 else { return result }
            result += buffer[0..<count]
        }
    }

    /// What the next read returns: a count, 0 at the end, or an error below zero.
    func receiveOnce() -> Int {
        var byte: UInt8 = 0
        return linux_receive(fd, &byte, 1)
    }
}

func socketPair() throws -> (RawSocket, RawSocket) {
    var fds: [CInt] = [0, 0]
    try #require(linux_stream_pair(&fds) == 0)
    return (RawSocket(fd: fds[0]), RawSocket(fd: fds[1]))
}

/// A connection whose far end is a raw socket.
func connected(_ reactor: Reactor, _ owner: any ConnectionOwner) throws -> (Connection, RawSocket) {
    let (near, far) = try socketPair()
    if let peer = owner as? Peer { peer.farEnds.append(far) }
    return (try Connection(adopting: near.take(), on: reactor, owner: owner), far)
}

extension Connection {
    func write(_ bytes: [UInt8]) { bytes.withUnsafeBytes { write(copying: $0) } }
}

/// A directory of its own, removed with everything in it.
func withDirectory(_ body: (String) throws -> Void) throws {
    var template = Array("/tmp/bus-transport-XXXXXX".utf8CString)
    let made = try #require(template.withUnsafeMutableBufferPointer { mkdtemp($0.baseAddress!) })
    let path = String(cString: made)
    defer {
        for name in ["s", "s.lock", "t", "other", "link"] { unlink(path + "/" + name) }
        rmdir(path)
    }
    try body(path)
}
