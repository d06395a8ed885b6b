// What a command writes to a standard stream, read as it comes and kept as far as it is wanted.

import BusTransport
import CLinux
import Glibc
import SystemPackage

/// The reading end of a command's stream. Confined to its reactor.
final class CapturedStream: @unchecked Sendable {
    /// The end that the command gets; closed by `began()`.
    private(set) var written: CInt = -1
    private let descriptor: CInt
    private let limit: Int
    private let passesOn: Bool
    private let onOverflow: () -> Void
    private var watch: DescriptorWatch?
    private(set) var bytes: [UInt8] = []

    /// - Parameters:
    ///   - limit: bytes that are kept.
    ///   - passesOn: whether all of it goes to our own standard error, too.
    ///   - onOverflow: called when there was more.
    init(limit: Int, passesOn: Bool, on reactor: Reactor, onOverflow: @escaping () -> Void) throws {
        var ends: [CInt] = [-1, -1]
        let result = linux_pipe(&ends)
        guard result == 0 else { throw Failure(.temporary, "pipe: \(String(cString: strerror(-result)))") }
        (descriptor, written) = (ends[0], ends[1])
        self.limit = limit
        self.passesOn = passesOn
        self.onOverflow = onOverflow
        watch = try DescriptorWatch(FileDescriptor(rawValue: descriptor), on: reactor) { [weak self] in
            if self?.read() == false { self?.watch?.cancel() }
        }
    }

    deinit {
        close(descriptor)
        began()
    }

    /// The command has a copy of its end.
    func began() {
        if written >= 0 { close(written) }
        written = -1
    }

    /// Reads what is left. Who else still holds the stream, left behind by the command, is not waited for.
    func finish() {
        watch?.cancel()
        // As much as a pipe holds, in the smallest pieces: somebody left behind may write for ever.
        var left = 16
        while left > 0, read() { left -= 1 }
    }

    /// Reads once what is there; false at the end, and when nothing is there.
    private func read() -> Bool {
        var chunk = [UInt8](repeating: 0, count: 64 << 10)
        let n = Glibc.read(descriptor, &chunk, chunk.count)
        guard n > 0 else { return n < 0 && errno == EINTR }
        if passesOn { Standard.write(Array(chunk[..<n]), to: 2) }
        let room = limit - bytes.count
        bytes += chunk[..<min(n, room)]
        if n > room { onOverflow() }
        return true
    }
}
