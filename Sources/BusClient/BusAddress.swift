// Which bus: by argument, by environment, by kind of user, in this order. A bus that exists but refuses is an error,
// never a reason to try the next.

import Glibc

/// Where a bus is.
public struct BusAddress: Sendable, Equatable, CustomStringConvertible {
    /// The socket's path.
    public let path: String

    /// The bus on this socket.
    public init(path: String) { self.path = path }

    /// The host's bus, or one of its named buses.
    public static func system(named name: String? = nil) -> BusAddress {
        BusAddress(path: name.map { "/run/localbus/\($0)/bus.sock" } ?? "/run/localbus/bus.sock")
    }

    /// This user's bus; nil without `XDG_RUNTIME_DIR`.
    public static func user() -> BusAddress? {
        environment("XDG_RUNTIME_DIR").map { BusAddress(path: $0 + "/localbus/bus.sock") }
    }

    /// `LOCALBUS_SOCKET`; else the system bus for a system user or without `XDG_RUNTIME_DIR`, else the user's bus.
    public static func standard() -> BusAddress {
        if let path = environment("LOCALBUS_SOCKET") { return BusAddress(path: path) }
        // Users below 1000 are the system's (systemd's and Debian's border).
        return (geteuid() < 1000 ? nil : user()) ?? system()
    }

    /// The path.
    public var description: String { path }

    private static func environment(_ name: String) -> String? {
        guard let value = getenv(name), value.pointee != 0 else { return nil }
        return String(cString: value)
    }
}
