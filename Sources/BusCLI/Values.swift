// Values on the command line: durations, UUIDs, headers, overflow policies.

import ArgumentParser
import BusClient

/// A span of time: `200ms`, `3s`, `10m`, `1h`; a bare number is seconds.
struct TimeSpan: ExpressibleByArgument {
    let duration: Duration
    /// As it is given; shown where it is a default.
    let defaultValueDescription: String

    init?(argument: String) {
        defaultValueDescription = argument
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

/// An overflow policy: `drop-oldest`, `drop-newest`, `latest`, `disconnect`, or `stall=TIME`.
struct OverflowArgument: ExpressibleByArgument {
    let policy: OverflowPolicy
    let stallTime: Duration

    private static let plain: [String: OverflowPolicy] = [
        "drop-oldest": .dropOldest, "drop-newest": .dropNewest, "latest": .latest, "disconnect": .disconnect,
    ]

    init?(argument: String) {
        defaultValueDescription = argument
        if let policy = OverflowArgument.plain[argument] {
            (self.policy, stallTime) = (policy, .zero)
        } else if argument.hasPrefix("stall="), let time = TimeSpan(argument: String(argument.dropFirst(6))) {
            (policy, stallTime) = (.stall, time.duration)
        } else {
            return nil
        }
    }

    /// As it is given; shown where it is a default.
    let defaultValueDescription: String

    static let help = ArgumentHelp(
        """
        When this can't keep up: drop-oldest, drop-newest, latest (of each topic), disconnect, or stall=TIME to hold \
        publishers back.
        """, valueName: "policy")
}
