// This host's metrics, from /proc: what the demo publishes.

import Glibc

/// Reads the host's metrics again and again; rates are since the reading before.
struct HostReadings {
    /// A metric as it is published.
    struct Reading {
        let topic: String
        let text: String
    }

    private var lastTicks = HostReadings.ticks()

    /// All metrics, now.
    mutating func take() -> [Reading] {
        processor() + load() + memory() + network() + others()
    }

    /// A small file's text; nil where there is none.
    static func file(_ path: String) -> String? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var text: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 4096)
        while true {
            let n = read(descriptor, &chunk, chunk.count)
            guard n >= 0 else { return nil }
            if n == 0 { return String(decoding: text, as: UTF8.self) }
            text += chunk[..<n]
        }
    }

    /// Shares of the time since the reading before, of all processors together.
    private mutating func processor() -> [Reading] {
        let ticks = HostReadings.ticks()
        let spent = zip(ticks, lastTicks).map { $0 > $1 ? $0 - $1 : 0 }
        lastTicks = ticks
        guard spent.count >= 4 else { return [] }
        let total = spent.reduce(0, +)
        return [("user", spent[0] + spent[1]), ("system", spent[2]), ("idle", spent[3])].map { name, share in
            let percent = total == 0 ? 0 : Double(share) * 100 / Double(total)
            return Reading(topic: "host.cpu.\(name)", text: "\(Text.decimal(percent, places: 1)) % of the processors")
        }
    }

    /// Of all processors together: user, nice, system, idle …
    private static func ticks() -> [UInt64] {
        let line = file("/proc/stat")?.split(separator: "\n").first ?? ""
        return line.split(separator: " ").dropFirst().compactMap { UInt64($0) }
    }

    private func load() -> [Reading] {
        let fields = HostReadings.file("/proc/loadavg")?.split(separator: " ") ?? []
        return zip(["1m", "5m"], fields).map { Reading(topic: "host.load.\($0)", text: "\($1) runnable tasks") }
    }

    private func memory() -> [Reading] {
        let names = ["MemAvailable:": "host.memory.available", "SwapFree:": "host.swap.available"]
        let lines = HostReadings.file("/proc/meminfo")?.split(separator: "\n") ?? []
        return lines.compactMap { line in
            let fields = line.split(separator: " ")
            guard let topic = fields.first.flatMap({ names[String($0)] }), fields.count >= 2 else { return nil }
            return Reading(topic: topic, text: "\(fields[1]) kB")
        }
    }

    private func network() -> [Reading] {
        // name: received-bytes, seven more of receiving, sent-bytes …
        let lines = HostReadings.file("/proc/net/dev")?.split(separator: "\n").dropFirst(2) ?? []
        var (received, sent) = (UInt64(0), UInt64(0))
        for line in lines {
            let fields = line.split(separator: ":").last?.split(separator: " ").compactMap { UInt64($0) } ?? []
            guard fields.count > 8 else { continue }
            received &+= fields[0]
            sent &+= fields[8]
        }
        return [
            Reading(topic: "host.network.received", text: "\(received) bytes since boot"),
            Reading(topic: "host.network.sent", text: "\(sent) bytes since boot"),
        ]
    }

    private func others() -> [Reading] {
        var readings: [Reading] = []
        if let uptime = HostReadings.file("/proc/uptime")?.split(separator: " ").first {
            readings.append(Reading(topic: "host.uptime", text: "\(uptime) s since boot"))
        }
        if let entropy = HostReadings.file("/proc/sys/kernel/random/entropy_avail")?.split(separator: "\n").first {
            readings.append(Reading(topic: "host.entropy.available", text: "\(entropy) bits"))
        }
        return readings
    }
}
