// Standard output and error: buffered, written whole.

import BusTransport
import Glibc
import SystemPackage

enum Standard {
    /// Writes a message to standard error.
    static func error(_ text: String) { write(Array(text.utf8), to: 2) }

    /// Writes a text to standard output at once.
    static func output(_ text: String) { write(Array(text.utf8), to: 1) }

    static var errorIsTerminal: Bool { isatty(2) == 1 }

    static func write(_ bytes: [UInt8], to descriptor: CInt) {
        var written = 0
        while written < bytes.count {
            let n = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress! + written, $0.count - written) }
            if n < 0, errno == EINTR { continue }
            if n < 0, errno == EAGAIN {
                var waiting = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                poll(&waiting, 1, -1)
                continue
            }
            if n < 0, errno == EPIPE { endAsByPipe() }
            // A full disk or a closed terminal: nothing sensible can be said there any more.
            guard n > 0 else { exit(1) }
            written += n
        }
    }
}

/// Ends this process when nobody reads its standard output any more, also while there is nothing to write: `bus sub x |
/// head -n 2` is over with the second line, and not with the third event. What has no other end, such as a file, isn't
/// watched.
actor OutputWatch {
    private let reactor: Reactor
    private var watch: DescriptorWatch?

    nonisolated var unownedExecutor: UnownedSerialExecutor { reactor.asUnownedSerialExecutor() }

    init(on reactor: Reactor) { self.reactor = reactor }

    func begin() {
        watch = try? DescriptorWatch(FileDescriptor(rawValue: 1), for: .hangUp, on: reactor) { Standard.endAsByPipe() }
    }
}

extension Standard {
    /// The reader is gone: end as SIGPIPE ends every filter, also on a thread that blocks signals.
    static func endAsByPipe() -> Never {
        signal(SIGPIPE, SIG_DFL)
        var pipes = sigset_t()
        sigemptyset(&pipes)
        sigaddset(&pipes, SIGPIPE)
        pthread_sigmask(SIG_UNBLOCK, &pipes, nil)
        raise(SIGPIPE)
        exit(141)
    }
}

/// What goes to standard output, gathered for one write.
struct OutputBuffer {
    private var bytes: [UInt8] = []

    mutating func append(_ text: String) { bytes.append(contentsOf: text.utf8) }
    mutating func append(_ byte: UInt8) { bytes.append(byte) }
    mutating func append(_ raw: UnsafeRawBufferPointer) { bytes.append(contentsOf: raw) }

    /// Writes what was gathered.
    mutating func flush() {
        guard !bytes.isEmpty else { return }
        Standard.write(bytes, to: 1)
        bytes.removeAll(keepingCapacity: true)
    }
}
