// What a daemon is going to do, from arguments, environment and configuration files: settled before anything is
// touched, so that `--check` and a start decide alike.

import BusServer
import Glibc
import Logging

/// Where a daemon listens and keeps its state, and its settings.
struct DaemonPlan {
    var settings = DaemonConfiguration()
    let socketPath: String
    let state: String

    init(
        config: String?, state: String?, socket: String?, logLevel: String?, manager: ServiceManager
    ) throws(ServerError) {
        let isSystem = DaemonPlan.isSystemUser
        if let config {
            try settings.read(file: config)
        } else {
            for file in DaemonPlan.files(isSystem: isSystem) { try settings.read(file: file) }
        }
        try settings.checkAll()
        if let logLevel {
            guard let level = Logger.Level(rawValue: logLevel) else {
                throw .configuration("--log-level \(logLevel) is none of trace, debug, info, notice, warning, error")
            }
            settings.logLevel = level
        }
        guard let path = socket ?? settings.socket ?? DaemonPlan.defaultSocket(isSystem: isSystem) else {
            throw .configuration("no place for a socket: XDG_RUNTIME_DIR isn't set, so name one with --socket")
        }
        guard
            let place = state ?? settings.state ?? manager.stateDirectory ?? DaemonPlan.defaultState(isSystem: isSystem)
        else { throw .configuration("no place for state: HOME isn't set, so name one with --state") }
        guard path.utf8.count <= 107 else {
            let length = path.utf8.count
            throw .configuration("socket path is \(length) bytes, at most 107 fit: choose a shorter --socket")
        }
        socketPath = path
        self.state = place
    }

    /// Users below 1000 are the system's (systemd's and Debian's border).
    private static var isSystemUser: Bool { geteuid() < 1000 }

    private static func files(isSystem: Bool) -> [String] {
        let fixed =
            isSystem
            ? ["/usr/lib/localbus/busd.yaml", "/etc/localbus/busd.yaml"] + dropIns("/etc/localbus/busd.d")
            : [(environment("XDG_CONFIG_HOME") ?? home("/.config")).map { $0 + "/localbus/busd.yaml" }].compactMap {
                $0
            }
        return fixed.filter { access($0, F_OK) == 0 }
    }

    private static func dropIns(_ path: String) -> [String] {
        guard let directory = opendir(path) else { return [] }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) {
                String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name.hasSuffix(".yaml") { names.append(path + "/" + name) }
        }
        return names.sorted()
    }

    private static func defaultSocket(isSystem: Bool) -> String? {
        isSystem ? "/run/localbus/bus.sock" : environment("XDG_RUNTIME_DIR").map { $0 + "/localbus/bus.sock" }
    }

    private static func defaultState(isSystem: Bool) -> String? {
        isSystem
            ? "/var/lib/localbus" : (environment("XDG_STATE_HOME") ?? home("/.local/state")).map { $0 + "/localbus" }
    }

    private static func home(_ path: String) -> String? { environment("HOME").map { $0 + path } }

    private static func environment(_ name: String) -> String? {
        guard let value = getenv(name), value.pointee != 0 else { return nil }
        return String(cString: value)
    }
}
