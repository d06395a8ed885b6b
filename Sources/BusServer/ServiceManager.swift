// systemd, by its plain protocols rather than its library: sockets handed over (LISTEN_FDS) and the state of the
// service told (NOTIFY_SOCKET). Without systemd all of it does nothing.

import CLinux
import Glibc

/// The service manager this process runs under, if any.
public struct ServiceManager: Sendable {
    private let notifySocket: String?
    /// Listening descriptors handed over.
    public let listeners: [CInt]
    /// Directory with credentials, if any.
    public let credentials: String?
    /// The state directory it made for us, if any.
    public let stateDirectory: String?

    /// The manager as the environment tells. Removes its variables, so that children aren't confused by them.
    public init() {
        notifySocket = ServiceManager.take("NOTIFY_SOCKET")
        credentials = ServiceManager.take("CREDENTIALS_DIRECTORY")
        stateDirectory = ServiceManager.take("STATE_DIRECTORY").map { String($0.prefix { $0 != ":" }) }
        let pid = ServiceManager.take("LISTEN_PID").flatMap { CInt($0) }
        let count = ServiceManager.take("LISTEN_FDS").flatMap { CInt($0) } ?? 0
        _ = ServiceManager.take("LISTEN_FDNAMES")
        // Descriptors begin at 3 (sd_listen_fds(3)); more than a few would be somebody else's variables.
        listeners = pid == getpid() && count > 0 && count <= 16 ? Array(3..<(3 + count)) : []
        for descriptor in listeners { _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC) }
    }

    /// Tells that the service is ready, with a line for people.
    public func ready(_ status: String) { notify("READY=1\nSTATUS=\(status)") }

    /// Tells a line for people.
    public func status(_ status: String) { notify("STATUS=\(status)") }

    /// Tells that the service is going down.
    public func stopping(_ status: String) { notify("STOPPING=1\nSTATUS=\(status)") }

    private func notify(_ message: String) {
        guard let path = notifySocket, !path.isEmpty, path.utf8.count < 108 else { return }
        let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(path.utf8)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        // An abstract socket is written with @ and begins with a zero byte.
        if bytes[0] == UInt8(ascii: "@") { withUnsafeMutableBytes(of: &address.sun_path) { $0[0] = 0 } }
        let length = socklen_t(MemoryLayout<sa_family_t>.size + bytes.count)
        let text = Array(message.utf8)
        _ = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                sendto(descriptor, text, text.count, Int32(MSG_NOSIGNAL), $0, length)
            }
        }
    }

    private static func take(_ name: String) -> String? {
        guard let value = getenv(name) else { return nil }
        let text = String(cString: value)
        unsetenv(name)
        return text
    }
}
