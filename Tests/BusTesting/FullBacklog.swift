// A listening socket on which nobody is accepted and for whose backlog one connection is enough.

import CLinux
import Glibc
import Testing

/// Whoever connects to it is told to try again later.
package final class FullBacklog {
    private let listening: CInt
    private let waiting: RawPeer

    package init(_ path: String) throws {
        let descriptor = socket(AF_UNIX, CInt(SOCK_STREAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue), 0)
        let bound = path.withCString { linux_bind(descriptor, $0, path.utf8.count) }
        let isListening = listen(descriptor, 0) == 0
        try #require(bound == 0 && isListening, "bind: \(bound)")
        listening = descriptor
        waiting = try RawPeer(path)
    }

    deinit {
        waiting.close()
        close(listening)
    }
}
