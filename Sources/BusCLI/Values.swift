// Values on the command line: durations, UUIDs, headers, overflow policies.

import ArgumentParser
import BusClient

/// A span of time: `200ms`, `3s`, `10m`, `1h`; a bare number is seconds.
struct TimeSpan: ExpressibleByArgument {
    let duration: Duration

    init?(argument: String) {
        let units: [(String, Double)] = [("ms", 0.001), ("s", 1), ("m", 60), ("h", 3600)]
        let unit = units.first { argument.hasSuffix($0.0) }
        guard let number = Double(argument.dropLast(unit?.0.count ?? 0)), number >= 0, number < 1e9 else { return nil }
        duration = .seconds(number * (unit?.1 ?? 1))
    }
}

/// Any UUID but zero.
struct Identifier: ExpressibleByArgument {
    let uuid: BusUUID

    init?(argument: String) {
        guard let uuid = BusUUID(argument), !uuid.isZero else { return nil }
        self.uuid = uuid
    }
}

/// `NAME=VALUE`.
struct HeaderArgument: ExpressibleByArgument {
    let header: EventHeader

    init?(argument: String) {
        guard let equals = argument.firstIndex(of: "="), equals != argument.startIndex else { return nil }
        header = EventHeader(String(argument[..<equals]), String(argument[argument.index(after: equals)...]))
    }
}

/// `drop-oldest`, or `stall=TIME`.
struct OverflowArgument: ExpressibleByArgument {
    let policy: OverflowPolicy
    let stallTime: Duration

    init?(argument: String) {
        if argument == "drop-oldest" {
            (policy, stallTime) = (.dropOldest, .zero)
        } else if argument.hasPrefix("stall="), let time = TimeSpan(argument: String(argument.dropFirst(6))) {
            (policy, stallTime) = (.stall, time.duration)
        } else {
            return nil
        }
    }

    static let defaultValueDescription = "drop-oldest"
}
