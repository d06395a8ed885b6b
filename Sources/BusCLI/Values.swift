// Values on the command line: durations, UUIDs, headers, overflow policies.

import ArgumentParser
import BusClient

/// A span of time: `200ms`, `3s`, `10m`, `1h`, `7d`; a bare number is seconds.
struct TimeSpan: ExpressibleByArgument {
    let duration: Duration
    /// As it is given; shown where it is a default.
    let defaultValueDescription: String

    init?(argument: String) {
        defaultValueDescription = argument
        // Thirty years: beyond that clocks overflow, and nobody waits.
        guard let time = Quantity.microseconds(argument, bareIsSeconds: true), time < 1_000_000_000_000_000 else {
            return nil
        }
        duration = .microseconds(time)
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
