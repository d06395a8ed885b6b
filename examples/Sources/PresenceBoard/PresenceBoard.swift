// A board of who is here. Each member keeps a line of its own up to date, and leaves a will for when it can't any more.
//
//   PresenceBoard NAME [STATUS]
//
// What the daemon itself says of sessions that come and go:   bus sub '$bus.session.>'

import BusClient
import Foundation

@main
struct PresenceBoard {
    /// What the daemon says of a session that is gone.
    struct Closed: Decodable { let pid: Int, name: String, reason: String }

    static func main() async throws {
        let name = CommandLine.arguments.dropFirst().first ?? "somebody"
        let status = CommandLine.arguments.dropFirst(2).first ?? "here"
        var options = ConnectOptions(name: "board of \(name)")
        // Published by the daemon when this process is killed or crashes; the kernel tells it at once.
        options.will = LastWill(line("gone"), on: "board.\(name)")
        try await BusConnection.with(options) { bus in
            try await bus.publish(line(status), to: "board.\(name)")
            async let board: Void = followBoard(bus)
            try await followSessions(bus)
            try await board
        }
    }

    /// A line stays until the next: whoever comes later sees it, too.
    static func line(_ text: String) -> OutgoingEvent {
        var event = OutgoingEvent(text)
        event.retains = true
        return event
    }

    /// Everybody's line, then what changes.
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
            let closed = try JSONDecoder().decode(Closed.self, from: Data(event.payload.array))
            say("\(closed.name), pid \(closed.pid), closed its session: \(closed.reason)")
        }
    }

    static func say(_ line: String) {
        print(line)
        fflush(nil)  // also where standard output is a pipe
    }
}
