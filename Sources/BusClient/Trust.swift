// Whom the client talks to. The key exchange authenticates nobody; the kernel does: who listens, and who could have
// put that socket where it lies.

import BusTransport
import Glibc

/// The users whose daemon is trusted, and the check.
struct Trust {
    let uids: Set<UInt32>

    /// Root, this user, and maybe one more.
    init(further: UInt32?) {
        uids = Set([0, geteuid(), further].compactMap { $0 })
    }

    /// The socket's directory: owned by a trusted user, writable by nobody else.
    func check(directoryOf path: String) throws(BusError) {
        let slash = path.lastIndex(of: "/")
        let directory = slash.map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
        var status = stat()
        // A missing directory is reported by connecting, which knows better words for it.
        guard stat(directory, &status) == 0 else { return }
        guard uids.contains(status.st_uid) else {
            throw .untrusted(path: path, "its directory belongs to uid \(status.st_uid), who could replace the socket")
        }
        guard status.st_mode & 0o022 == 0 else {
            throw .untrusted(
                path: path,
                "others can write to \(directory) and could replace the socket: chmod go-w \(directory), or give the "
                    + "socket a directory of its own")
        }
    }

    /// The daemon itself, by the kernel's word.
    func check(_ peer: PeerCredentials, path: String) throws(BusError) {
        guard uids.contains(peer.uid) else {
            throw .untrusted(path: path, "its daemon runs as uid \(peer.uid), neither root nor this user")
        }
    }
}
