// Publishes this host's metrics from /proc: load, free memory, uptime, each value an event on a topic of its own.
//
//   HostMetrics [ROUNDS [SECONDS]]      so many rounds (0, the default: for ever), so long apart (1 second)
//
// Watch it with   bus sub 'host.>'   or, of everything that can run out,   bus sub 'host.*.free'

import BusClient
import Foundation

@main
struct HostMetrics {
    static func main() async {
        let numbers = CommandLine.arguments.dropFirst().map { Double($0) ?? 0 }
        let rounds = numbers.first.map { Int($0) } ?? 0
        let interval = Duration.seconds(numbers.count > 1 ? numbers[1] : 1)

        // The bus is found as every program finds it: LOCALBUS_SOCKET, else the user's or the host's.
        var options = ConnectOptions(name: "host-metrics")
        // When the daemon is gone the connection comes back by itself; a service says so in its log.
        options.onNotice = { say("host-metrics: \($0)") }
        do {
            try await BusConnection.with(options) { bus in
                var round = 0
                while rounds == 0 || round < rounds {
                    if round > 0 { try await Task.sleep(for: interval) }
                    for metric in readMetrics() {
                        let event = OutgoingEvent(metric.value, headers: [EventHeader("unit", metric.unit)])
                        // A metric that is lost is followed by a newer one: no need to wait for a receipt.
                        try await bus.publishWithoutReceipt(event, to: metric.topic)
                    }
                    round += 1
                }
            }  // What was published has been sent here, and the connection is closed.
        } catch {
            say("host-metrics: \(error)")
            exit(1)
        }
    }

    struct Metric {
        let topic: String
        let value: String
        let unit: String
    }

    /// What the host says of itself now.
    static func readMetrics() -> [Metric] {
        var metrics: [Metric] = []
        for (name, value) in zip(["1m", "5m", "15m"], words(of: "/proc/loadavg")) {
            metrics.append(Metric(topic: "host.load.\(name)", value: value, unit: "tasks"))
        }
        let memory = words(of: "/proc/meminfo")
        for (key, topic) in [("MemAvailable:", "host.memory.free"), ("SwapFree:", "host.swap.free")] {
            guard let index = memory.firstIndex(of: key), index + 1 < memory.count else { continue }
            metrics.append(Metric(topic: topic, value: memory[index + 1], unit: "kB"))
        }
        if let uptime = words(of: "/proc/uptime").first {
            metrics.append(Metric(topic: "host.uptime", value: uptime, unit: "s"))
        }
        return metrics
    }

    static func say(_ message: String) { FileHandle.standardError.write(Data("\(message)\n".utf8)) }

    static func words(of path: String) -> [String] {
        let text = (try? String(contentsOfFile: path, encoding: .utf8)) ?? ""
        return text.split(whereSeparator: \.isWhitespace).map(String.init)
    }
}
