// What can go wrong between a path and a connection, and why a connection ended.
//
// Guarantees that each error says what failed, where, and what to do. Keeps no cause beyond the system's error
// number: nothing lies below this room but the kernel. Expected endings of a connection are not errors: they are
// `CloseReason`s, each with one name for frame, log, metric and tool.

public import SystemPackage

/// What this room refuses or could not do.
public enum TransportError: Error, Equatable, Sendable {
    /// The path does not fit into a socket address; `limit` bytes do.
    case socketPathTooLong(path: String, length: Int, limit: Int)
    /// The path is empty or holds a zero byte.
    case socketPathInvalid(path: String)
    /// Where the socket should be lies a symbolic link, which might lead anywhere.
    case socketPathIsSymlink(path: String)
    /// Where the socket should be lies something else.
    case socketPathNotASocket(path: String)
    /// The socket found there belongs to another user.
    case socketForeignOwner(path: String, uid: UInt32)
    /// A live daemon serves this path, or is just about to.
    case socketTaken(path: String)
    /// There is no socket at this path.
    case socketMissing(path: String)
    /// A socket is there and nobody listens on it.
    case connectionRefused(path: String)
    /// The socket, or a directory on the way to it, may not be used by this user.
    case permissionDenied(path: String)
    /// So many connections wait to be accepted that the kernel refuses another one for now.
    case serverBusy(path: String)
    /// An inherited descriptor is not a listening Unix stream socket.
    case inheritedDescriptorUnsuitable(descriptor: Int32)
    /// The process has as many descriptors as it may have.
    case descriptorTableFull(operation: String)
    /// Any other refusal of the system.
    case system(operation: String, path: String?, Errno)
}

extension TransportError: CustomStringConvertible {
    /// What, where and what to do, in one line.
    public var description: String {
        switch self {
        case .socketPathTooLong(let path, let length, let limit):
            "socket path is \(length) bytes, at most \(limit) fit: choose a shorter --socket than \(path)"
        case .socketPathInvalid(let path):
            "socket path “\(path)” is empty or holds a zero byte: choose another --socket"
        case .socketPathIsSymlink(let path):
            "\(path) is a symbolic link: name the place it leads to, or remove it"
        case .socketPathNotASocket(let path):
            "\(path) exists and is not a socket: remove it, or choose another --socket"
        case .socketForeignOwner(let path, let uid):
            "\(path) belongs to uid \(uid): run as that user, remove it, or choose another --socket"
        case .socketTaken(let path):
            "\(path) is served by another daemon: stop that one, or choose another --socket"
        case .socketMissing(let path):
            "no socket at \(path): start the daemon, or name the right --socket"
        case .connectionRefused(let path):
            "nobody listens on \(path): start the daemon"
        case .permissionDenied(let path):
            "no permission to use \(path): check its mode, its directories and the user's groups"
        case .serverBusy(let path):
            "too many connections wait on \(path): try again later"
        case .inheritedDescriptorUnsuitable(let descriptor):
            "inherited descriptor \(descriptor) is not a listening Unix stream socket: check ListenStream= of the unit"
        case .descriptorTableFull(let operation):
            "\(operation): the process has all the descriptors it may have: raise LimitNOFILE="
        case .system(let operation, let path, let errno):
            path.map { "\(operation) \($0): \(errno)" } ?? "\(operation): \(errno)"
        }
    }
}

extension TransportError {
    /// The error for a result below zero, which is how `CLinux` hands errors over.
    static func from(_ result: Int, operation: String, path: String? = nil) -> TransportError {
        let errno = Errno(rawValue: CInt(-result))
        switch errno {
        case .tooManyOpenFiles, .tooManyOpenFilesInSystem: return .descriptorTableFull(operation: operation)
        case .permissionDenied, .notPermitted:
            if let path { return .permissionDenied(path: path) }
        default: break
        }
        return .system(operation: operation, path: path, errno)
    }
}

/// Why a connection ended.
public enum CloseReason: Equatable, Sendable {
    /// The peer closed it, or its writing half; so many bytes of an unfinished frame were left.
    case peerClosed(incompleteBytes: Int)
    /// The peer went away without reading what had been sent to it.
    case peerReset
    /// Its owner closed it.
    case closedByOwner
    /// The owner could not find the end of a frame within what this room keeps for it.
    case unframed
    /// The reactor was stopped.
    case reactorStopped
    /// The system failed.
    case system(Errno)

    /// One word for logs, metrics and tools.
    public var name: String {
        switch self {
        case .peerClosed: "peer-closed"
        case .peerReset: "peer-reset"
        case .closedByOwner: "closed-by-owner"
        case .unframed: "unframed"
        case .reactorStopped: "reactor-stopped"
        case .system: "system"
        }
    }
}
