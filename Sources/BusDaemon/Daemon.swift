// The daemon's life: limits of the process, signals, socket, server, the end.

import BusServer
import BusTransport
import CLinux
import Glibc
import Logging
import SystemPackage

final class Daemon {
    private let plan: DaemonPlan
    private let manager: ServiceManager
    private let log: Logger

    init(_ plan: DaemonPlan, _ manager: ServiceManager) {
        self.plan = plan
        self.manager = manager
        let level = plan.settings.logLevel
        LoggingSystem.bootstrap { _ in PlainLog(level: level) }
        log = Logger(label: "busd")
    }

    /// Runs until a signal.
    func run() throws(ServerError) {
        Daemon.protectMemory()
        Daemon.raiseDescriptorLimit()
        let reactor: Reactor
        do throws(TransportError) { reactor = try Reactor(name: "busd") } catch { throw .system(error.description) }
        // Before the server starts threads of its own: one that doesn't block them would end the process instead.
        let descriptor = try Daemon.signalDescriptor()
        let server = try BusServer(
            settings: plan.settings, state: plan.state, credentials: manager.credentials, socket: try socket(),
            on: reactor, log: log)
        server.whenStopped = { reactor.stop() }
        let signals = try watchSignals(descriptor, reactor, server)
        log.notice("busd \(BusServer.version) listening on \(plan.socketPath), state in \(plan.state)")
        manager.ready("listening on \(plan.socketPath)")
        reactor.run()
        signals.cancel()
    }

    private func socket() throws(ServerError) -> BusServer.Socket {
        if let inherited = manager.listeners.first {
            guard manager.listeners.count == 1 else {
                throw .socket("the service manager handed over \(manager.listeners.count) sockets, expected one")
            }
            return .inherited(inherited)
        }
        try makeSocketDirectory()
        // Anyone may connect and is told by name if they may not stay; who may is decided by the kernel's credentials.
        return .path(plan.socketPath, mode: 0o666)
    }

    /// Makes the last directory of the socket's path where it is missing, writable by us alone.
    private func makeSocketDirectory() throws(ServerError) {
        guard let slash = plan.socketPath.lastIndex(of: "/"), slash != plan.socketPath.startIndex else { return }
        let directory = String(plan.socketPath[..<slash])
        let mode: mode_t = geteuid() == 0 ? 0o755 : 0o700
        if mkdir(directory, mode) != 0, errno != EEXIST {
            throw .socket("can't make \(directory) for the socket: \(String(cString: strerror(errno)))")
        }
        var status = stat()
        guard stat(directory, &status) == 0, status.st_mode & 0o022 == 0 else {
            throw .socket(
                "others can write to \(directory), and no client would trust a socket there: chmod go-w \(directory), "
                    + "or give the socket a directory of its own with --socket")
        }
    }

    private static func signalDescriptor() throws(ServerError) -> CInt {
        signal(SIGPIPE, SIG_IGN)
        let descriptor = linux_signal_descriptor(SIGTERM, SIGINT)
        guard descriptor >= 0 else { throw .system("can't watch signals: \(Errno(rawValue: -descriptor))") }
        return descriptor
    }

    private func watchSignals(
        _ descriptor: CInt, _ reactor: Reactor, _ server: BusServer
    ) throws(ServerError) -> DescriptorWatch {
        let manager = manager
        do throws(TransportError) {
            return try DescriptorWatch(FileDescriptor(rawValue: descriptor), on: reactor) {
                _ = linux_read_signal(descriptor)
                manager.stopping("delivering what is queued")
                server.shutDown()
            }
        } catch {
            throw .system(error.description)
        }
    }

    /// Keys are in this memory: no core dumps, no reading by processes of the same user.
    private static func protectMemory() {
        _ = linux_set_dumpable(0)
        var limit = rlimit(rlim_cur: 0, rlim_max: 0)
        setrlimit(__rlimit_resource_t(RLIMIT_CORE.rawValue), &limit)
    }

    /// A connection is a descriptor: take as many as we may have.
    private static func raiseDescriptorLimit() {
        var limit = rlimit()
        let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
        guard getrlimit(resource, &limit) == 0 else { return }
        limit.rlim_cur = limit.rlim_max
        setrlimit(resource, &limit)
    }
}
