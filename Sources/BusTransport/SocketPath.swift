// A path that can be a socket's address.
//
// Guarantees that it fits into a socket address, and that what is found there is judged before anything is done
// with it. Keeps the string; leaves the descriptor to whoever asked for it.

import CLinux
import Glibc
import SystemPackage

struct SocketPath {
    let string: String

    init(_ string: String) throws(TransportError) {
        let length = string.utf8.count
        let limit = Int(LINUX_SOCKET_PATH_MAX)
        guard length > 0, !string.utf8.contains(0) else { throw .socketPathInvalid(path: string) }
        guard length <= limit else { throw .socketPathTooLong(path: string, length: length, limit: limit) }
        self.string = string
    }

    /// A connected socket.
    func connect() throws(TransportError) -> OwnedDescriptor {
        let socket = try Self.newSocket()
        let result = tryConnect(socket.borrowed)
        switch CInt(-result) {
        case 0: return socket
        case ENOENT: throw .socketMissing(path: string)
        case ECONNREFUSED: throw .connectionRefused(path: string)
        case EAGAIN: throw .serverBusy(path: string)
        default: throw .from(Int(result), operation: "connect", path: string)
        }
    }

    private func tryConnect(_ socket: FileDescriptor) -> CInt {
        string.withCString { linux_connect(socket.rawValue, $0, string.utf8.count) }
    }

    /// A socket bound here with `mode`, not listening yet.
    func bind(mode: FilePermissions) throws(TransportError) -> OwnedDescriptor {
        let socket = try Self.newSocket()
        // The file is made with the socket's own mode less the umask: never more than asked for, not even for a
        // moment. What the umask took away comes back before `listen`, while connecting is still refused.
        _ = fchmod(socket.borrowed.rawValue, mode.rawValue)
        let result = string.withCString { linux_bind(socket.borrowed.rawValue, $0, string.utf8.count) }
        guard result >= 0 else { throw .from(Int(result), operation: "bind", path: string) }
        guard chmod(string, mode.rawValue) == 0 else {
            throw .from(-Int(Glibc.errno), operation: "chmod", path: string)
        }
        return socket
    }

    private static func newSocket() throws(TransportError) -> OwnedDescriptor {
        let result = linux_stream_socket()
        guard result >= 0 else { throw .from(Int(result), operation: "socket") }
        return OwnedDescriptor(raw: result)
    }

    // MARK: What is there

    /// Which file something is, whatever its name.
    struct Identity: Equatable {
        let device: dev_t
        let inode: ino_t
    }

    /// The socket file at this path; nil if there is nothing, an error if it is nothing we may replace.
    func inspect() throws(TransportError) -> Identity? {
        var status = stat()
        guard lstat(string, &status) == 0 else {
            if Glibc.errno == ENOENT { return nil }
            throw .from(-Int(Glibc.errno), operation: "lstat", path: string)
        }
        switch status.st_mode & S_IFMT {
        case S_IFSOCK: break
        case S_IFLNK: throw .socketPathIsSymlink(path: string)
        default: throw .socketPathNotASocket(path: string)
        }
        guard status.st_uid == geteuid() else { throw .socketForeignOwner(path: string, uid: status.st_uid) }
        return Identity(device: status.st_dev, inode: status.st_ino)
    }

    /// Removes a socket that nobody listens on any more. The caller holds the path's lock.
    func removeStale() throws(TransportError) {
        guard try inspect() != nil else { return }
        let probe = try Self.newSocket()
        let result = tryConnect(probe.borrowed)
        switch CInt(-result) {
        case ECONNREFUSED:
            guard unlink(string) == 0 || Glibc.errno == ENOENT else {
                throw .from(-Int(Glibc.errno), operation: "unlink", path: string)
            }
        case ENOENT: break
        // Connected, or so many wait that the kernel refuses another: somebody listens.
        case 0, EAGAIN: throw .socketTaken(path: string)
        default: throw .from(Int(result), operation: "connect", path: string)
        }
    }

    /// The lock that says who may bind this path; it goes with its descriptor, however its owner ends.
    ///
    /// The file stays: removing it would let two daemons hold the lock on two files of the same name.
    func lock() throws(TransportError) -> OwnedDescriptor {
        let name = string + ".lock"
        let result = linux_open(name, O_RDWR | O_CREAT | O_NOFOLLOW, 0o600)
        guard result >= 0 else {
            if result == -ELOOP { throw .socketPathIsSymlink(path: name) }
            throw .from(Int(result), operation: "open", path: name)
        }
        let file = OwnedDescriptor(raw: result)
        let locked = linux_lock(result)
        if locked == -EWOULDBLOCK { throw .socketTaken(path: string) }
        guard locked >= 0 else { throw .from(Int(locked), operation: "flock", path: name) }
        return file
    }
}
