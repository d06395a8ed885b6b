// Ships a log: each line of a file becomes an event on logs.NAME, as it is written, whatever happens to the daemon.
//
//   LogShipper FILE [NAME [IDLE-SECONDS]]   NAME is the last token of the topic (the default: log);
//                                           it ends after so long without a new line, or at SIGTERM
//
// Read it with   bus sub 'logs.>' --overflow stall=10s   which holds the shipper back instead of losing lines.

import BusClient
import Glibc
import Synchronization

/// Set by SIGTERM and Ctrl-C.
private let isStopping = Atomic<Bool>(false)

@main
struct LogShipper {
    static func main() async {
        let arguments = Array(CommandLine.arguments.dropFirst())
        guard let path = arguments.first else { fail("usage: LogShipper FILE [NAME [IDLE-SECONDS]]", status: 64) }
        let name = arguments.dropFirst().first ?? "log"
        let idleMax = arguments.dropFirst(2).first.flatMap { Double($0) }.map { Duration.seconds($0) }

        for number in [SIGTERM, SIGINT] {
            signal(number) {
                isStopping.store(true, ordering: .relaxed)
                // The second one ends us at once: without a daemon, finishing would wait for ever.
                signal($0, SIG_DFL)
            }
        }
        var options = ConnectOptions(name: "log-shipper")
        options.onNotice = { say("log-shipper: \($0)") }
        do {
            let summary = try await BusConnection.with(options) { bus in
                // Lines are given away without waiting for each receipt; what has none yet is kept and sent again
                // after the daemon was gone.
                let publisher = try await bus.publisher(for: "logs.\(name)")
                var file = FollowedFile(path)
                var lastLine = ContinuousClock.now
                while !isStopping.load(ordering: .relaxed) {
                    let lines = try file.newLines()
                    // Inside `run` publishing is a plain call, without a change of thread for each line.
                    try await bus.run { _ in
                        for line in lines {
                            if !publisher.hasRoom { try await publisher.waitForRoom() }
                            try line.withUnsafeBytes { try publisher.publish($0) }
                        }
                    }
                    if !lines.isEmpty { lastLine = .now; continue }
                    if let idleMax, .now - lastLine >= idleMax { break }
                    try await Task.sleep(for: .milliseconds(100))
                }
                return try await bus.run { _ in try await publisher.finish() }
            }
            print("\(summary.confirmedCount) lines shipped")
        } catch {
            fail("log-shipper: \(error)", status: 1)
        }
    }

    static func fail(_ message: String, status: Int32) -> Never {
        say(message)
        exit(status)
    }

    /// A line on standard error.
    static func say(_ message: String) {
        _ = Array("\(message)\n".utf8).withUnsafeBytes { write(2, $0.baseAddress, $0.count) }
    }
}
