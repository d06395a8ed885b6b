// Who is at the other end, by the kernel's word.
//
// Guarantees what the kernel recorded at `connect` (for the server's side) or at `listen` (for the client's): a
// peer that changes its user afterwards stays who it was. Keeps numbers only; what they may do is policy.

import CLinux
import Glibc
public import SystemPackage

/// The peer's identity when the connection was made.
public struct PeerCredentials: Equatable, Sendable {
    /// Effective user; 65534 when it has no name in our user namespace.
    public let uid: UInt32
    /// Effective group.
    public let gid: UInt32
    /// Process; 0 when it lives in a PID namespace we do not see. May be reused at any time: never authorise by it.
    public let pid: Int32
    /// Supplementary groups.
    public let groups: [UInt32]

    /// Asks the kernel about the peer of a connected Unix socket.
    public init(of descriptor: FileDescriptor) throws(TransportError) {
        var peer = linux_peer()
        let result = linux_peer_credentials(descriptor.rawValue, &peer)
        guard result >= 0 else { throw .from(Int(result), operation: "SO_PEERCRED") }
        uid = peer.uid
        gid = peer.gid
        pid = peer.pid
        groups = try Self.groups(of: descriptor)
    }

    /// Most peers have fewer groups than this and cost one call; the kernel says when there are more.
    private static let groupsGuess = 32

    private static func groups(of descriptor: FileDescriptor) throws(TransportError) -> [UInt32] {
        var count = groupsGuess
        while true {
            var groups = [gid_t](repeating: 0, count: count)
            let result = linux_peer_groups(descriptor.rawValue, &groups, &count)
            if result >= 0 { return Array(groups.prefix(count)) }
            // On ERANGE `count` now says how many there are, and they are frozen, so the next call succeeds.
            guard result == -ERANGE, count > groups.count else {
                throw .from(Int(result), operation: "SO_PEERGROUPS")
            }
        }
    }

    /// A pidfd of the peer, or nil where the kernel has none (before 6.5) or the peer is already gone.
    ///
    /// It names the process beyond doubt as long as it is open. It is opened when needed and not kept: one more
    /// descriptor per connection would halve how many connections fit.
    public static func openPidfd(of descriptor: FileDescriptor) -> OwnedDescriptor? {
        let result = linux_peer_pidfd(descriptor.rawValue)
        return result >= 0 ? OwnedDescriptor(raw: result) : nil
    }
}
