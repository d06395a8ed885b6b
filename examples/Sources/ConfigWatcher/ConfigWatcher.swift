// A service that follows its configuration: the last value of every setting first, then each change.
//
//   ConfigWatcher [FILTER]      'config.>' without one
//
// Set one with   bus pub config.interval 30 --retain   and clear it with   bus pub config.interval '' --retain

import BusClient
import Glibc

@main
struct ConfigWatcher {
    static func main() async throws {
        let filter = CommandLine.arguments.dropFirst().first ?? "config.>"
        var settings: [Topic: String] = [:]
        var isComplete = false

        try await BusConnection.with(ConnectOptions(name: "config-watcher")) { bus in
            var options = SubscribeOptions()
            options.beginsWithLast = true
            // Of each setting only the newest value counts, should this process ever fall behind.
            options.overflow = .latest
            for try await arrival in try await bus.subscribe(filter, options) {
                switch arrival {
                case .event(let event):
                    // A setting that was cleared comes as an empty event.
                    settings[event.topic] = event.payload.count == 0 ? nil : event.text
                    if isComplete { say("\(event.topic) = \(settings[event.topic] ?? "(cleared)")") }
                case .caughtUp:
                    // All there was has come: from here on the service can run.
                    isComplete = true
                    let all = settings.map { "\($0) = \($1)" }.sorted()
                    say("starting with \(all.count) settings" + all.map { "\n  \($0)" }.joined())
                case .missed(let missed):
                    say("values were replaced before they were seen: \(missed.reason)")
                }
            }
        }
    }

    static func say(_ line: String) {
        print(line)
        fflush(nil)  // also where standard output is a pipe
    }
}
