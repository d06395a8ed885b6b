// A bus of one's own: a daemon in a temporary directory, gone when it is no longer needed.

import BusClient
import Glibc

/// A private daemon.
final class PrivateBus {
    let directory: String
    let socket: String
    private let argv: [String]
    private let errors: CInt?
    private var daemon: ChildProcess

    /// Starts a daemon and waits until it answers.
    ///
    /// - Parameters:
    ///   - mode: the directory's mode: 0700, or 0711 to let others knock.
    ///   - errors: where the daemon's log goes; nil for standard error.
    init(mode: mode_t = 0o700, errors: CInt? = nil) async throws {
        let base = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
        var template = Array((base + "/bus-XXXXXX").utf8CString)
        guard mkdtemp(&template) != nil else {
            throw Failure(.other, "can't make a directory in \(base): \(String(cString: strerror(errno)))")
        }
        directory = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        chmod(directory, mode)
        socket = directory + "/bus.sock"
        self.errors = errors
        argv = [
            PrivateBus.daemonPath, "--socket", socket, "--state", directory + "/state", "--log-level", "warning",
        ]
        daemon = try ChildProcess(argv, errors: errors, ownGroup: true)
        try await waitUntilReady()
    }

    /// Where this program lies; nil if that can't be told.
    static var ownDirectory: String? {
        var buffer = [CChar](repeating: 0, count: 4096)
        let n = readlink("/proc/self/exe", &buffer, buffer.count - 1)
        guard n > 0 else { return nil }
        let own = String(decoding: buffer[..<n].map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return own.lastIndex(of: "/").map { String(own[..<$0]) }
    }

    /// `busd` beside this program, else from PATH.
    static var daemonPath: String {
        guard let beside = ownDirectory.map({ $0 + "/busd" }), access(beside, X_OK) == 0 else { return "busd" }
        return beside
    }

    /// What a command needs to use this bus: the socket, and `bus` itself where PATH has none.
    var environment: [String: String] {
        let path = getenv("PATH").map { String(cString: $0) } ?? "/usr/bin:/bin"
        return ["LOCALBUS_SOCKET": socket, "PATH": PrivateBus.ownDirectory.map { "\(path):\($0)" } ?? path]
    }

    private func waitUntilReady() async throws {
        let deadline = ContinuousClock.now + .seconds(10)
        var options = ConnectOptions(address: BusAddress(path: socket), name: "bus run")
        options.reconnects = false
        while true {
            if let status = daemon.poll() {
                remove()
                throw Failure(.other, "busd ended with status \(status) before it was ready")
            }
            if let connection = try? await BusConnection.connect(options) {
                return await connection.close()
            }
            guard ContinuousClock.now < deadline else {
                stop()
                throw Failure(.unavailable, "busd didn't answer on \(socket) within 10 s")
            }
            try await ContinuousClock().sleep(for: .milliseconds(5))
        }
    }

    /// Kills the daemon as the kernel does when memory is short, and starts another one on what it left.
    func killAndRestart() async throws {
        daemon.signal(SIGKILL)
        _ = daemon.wait()
        daemon = try ChildProcess(argv, errors: errors, ownGroup: true)
        try await waitUntilReady()
    }

    /// Whether the daemon has not ended by itself.
    var isRunning: Bool { daemon.isRunning }

    /// Ends the daemon and removes its directory.
    func stop() {
        daemon.signal(SIGTERM)
        // Ten seconds are ample for draining; a daemon that hangs must not keep us.
        for _ in 0..<2_000 where daemon.isRunning { usleep(5_000) }
        if daemon.isRunning { daemon.signal(SIGKILL) }
        _ = daemon.wait()
        remove()
    }

    private func remove() {
        PrivateBus.empty(directory + "/state")
        rmdir(directory + "/state")
        PrivateBus.empty(directory)
        rmdir(directory)
    }

    /// Removes the files of a directory that is all ours.
    private static func empty(_ path: String) {
        guard let entries = opendir(path) else { return }
        defer { closedir(entries) }
        while let entry = readdir(entries) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) {
                String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name != ".", name != ".." { unlink(path + "/" + name) }
        }
    }
}
