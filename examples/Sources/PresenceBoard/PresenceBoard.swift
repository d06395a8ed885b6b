// A board of who is here. Each member keeps its own line up to date, and leaves a will for when it can't any more.
//
//   PresenceBoard NAME [STATUS]
//
// What the daemon itself sees of sessions coming and going:   bus sub '$bus.session.>'

import BusClient
import Foundation

@main
struct PresenceBoard {
    /// What the daemon says of a session, as JSON.
    struct Session: Decodable {
        let session: UInt64
        let pid: Int
        let name: String
        let reason: String?
    }

    static func main() async throws {
        let arguments = CommandLine.arguments.dropFirst()
        let name = arguments.first ?? "somebody"

        var options = ConnectOptions(name: "board \(name)")
        var gone = OutgoingEvent("gone")
        gone.retains = true
        // Published by the daemon when this process is killed or crashes: the kernel tells it at once.
        options.will = LastWill(gone, on: "board.\(name)")
        try await BusConnection.with(options) { bus in
            var here = OutgoingEvent(arguments.dropFirst().first ?? "here")
            here.retains = true
            try await bus.publish(here, to: "board.\(name)")
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await followBoard(bus) }
                group.addTask { try await followSessions(bus) }
                try await group.next()
            }
        }
    }

    /// Everybody's last word, then what changes.
    static func followBoard(_ bus: BusConnection) async throws {
        var options = SubscribeOptions()
        options.beginsWithLast = true
        for try await arrival in try await bus.subscribe("board.*", options) {
            if case .event(let event) = arrival { say("\(event.topic): \(event.text)") }
        }
    }

    /// The daemon's own events, which nobody else can publish.
    static func followSessions(_ bus: BusConnection) async throws {
        for try await arrival in try await bus.subscribe("$bus.session.closed") {
            guard case .event(let event) = arrival else { continue }
            let closed = try JSONDecoder().decode(Session.self, from: Data(event.payload.array))
            say("session of \(closed.name), pid \(closed.pid), closed: \(closed.reason ?? "")")
        }
    }

    static func say(_ line: String) {
        print(line)
        fflush(stdout)
    }
}
