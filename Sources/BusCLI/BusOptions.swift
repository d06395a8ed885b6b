// Which bus: the same options for every subcommand.

import ArgumentParser
import BusClient
import BusTransport

struct BusOptions: ParsableArguments {
    @Option(help: ArgumentHelp("The bus on this socket.", valueName: "path"))
    var socket: String?

    @Option(help: ArgumentHelp("The host's bus of this name.", valueName: "name"))
    var bus: String?

    @Flag(help: "This user's bus.")
    var user = false

    @Flag(help: "The host's bus.")
    var system = false

    func validate() throws {
        let chosen = [socket != nil, bus != nil, user, system].count { $0 }
        guard chosen <= 1 else { throw ValidationError("--socket, --bus, --user and --system exclude each other") }
        if let bus, bus.isEmpty || bus.hasPrefix(".") || bus.contains("/") {
            throw ValidationError("--bus has a name, such as `plant`, not “\(bus)”; --socket takes a path")
        }
        if user, BusAddress.user() == nil { throw ValidationError("--user: XDG_RUNTIME_DIR isn't set") }
    }

    /// The bus that was chosen.
    var address: BusAddress {
        if let socket { return BusAddress(path: socket) }
        if let bus { return .system(named: bus) }
        if user { return .user() ?? .standard() }
        return system ? .system() : .standard()
    }

    /// Connects; a failure names the bus.
    func connect(
        _ name: String, reconnects: Bool = true, reactor: Reactor? = nil, will: LastWill? = nil,
        onNotice: (@Sendable (ConnectionNotice) -> Void)? = nil
    ) async throws -> BusConnection {
        var options = connectOptions(name, reactor: reactor)
        options.reconnects = reconnects
        options.onNotice = onNotice
        options.will = will
        do throws(BusError) {
            return try await BusConnection.connect(options)
        } catch {
            if case .refused = error {
                let failure = Failure(error)
                throw Failure(failure.status, "\(address): \(failure.message)")
            }
            throw error
        }
    }

    /// How a subcommand connects.
    func connectOptions(_ name: String, reactor: Reactor? = nil) -> ConnectOptions {
        var options = ConnectOptions(address: address, name: name)
        options.reactor = reactor
        return options
    }
}

extension Reactor {
    /// A reactor that runs on a thread of its own.
    static func started(_ name: String, observer: (any RoundObserver)? = nil) throws -> Reactor {
        let reactor = try Reactor(name: name)
        if let observer { reactor.addObserver(observer) }
        reactor.start()
        return reactor
    }
}
