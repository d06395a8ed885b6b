// The right to a socket path.
//
// Guarantees that two daemons do not hold it at once, and that only the socket made under it is ever removed. Keeps
// the lock for as long as it lives; the kernel gives it back when the process dies.

import Glibc
import SystemPackage

struct SocketClaim: ~Copyable {
    private let path: SocketPath
    private let lock: OwnedDescriptor
    private var made: SocketPath.Identity?

    /// Locks the path and removes what is dead there.
    init(_ string: String) throws(TransportError) {
        let path = try SocketPath(string)
        // Looked at before the lock is made, so that a wrong path leaves no lock file beside it.
        _ = try path.inspect()
        let lock = try path.lock()
        try path.removeStale()
        self.path = path
        self.lock = lock
    }

    /// A socket bound to the path, listening.
    mutating func listen(mode: FilePermissions, backlog: CInt) throws(TransportError) -> OwnedDescriptor {
        let socket = try path.bind(mode: mode)
        made = try path.inspect()
        guard Glibc.listen(socket.borrowed.rawValue, backlog) == 0 else {
            throw .from(-Int(Glibc.errno), operation: "listen", path: path.string)
        }
        return socket
    }

    /// Removes the socket file if it is still the one made here.
    borrowing func unlink() {
        guard let made, let found = try? path.inspect(), found == made else { return }
        _ = Glibc.unlink(path.string)
    }
}
