// When an event is to be published, on the command line.

import ArgumentParser
import BusClient
import Glibc

/// `--at`, `--after`: one of them at most.
struct DueArguments: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Publish it then: 2026-12-24T18:00:00Z, or 18:00 of the host's time, today or tomorrow. The topic is durable.",
            valueName: "time"))
    var at: ClockTime?

    @Option(help: ArgumentHelp("Publish it in a while: 10m. The topic is durable.", valueName: "time"))
    var after: TimeSpan?

    func validate() throws {
        guard at == nil || after == nil else {
            throw ValidationError("--at and --after exclude each other: one says when it is to be published")
        }
    }

    /// Whether one was given.
    var isGiven: Bool { at != nil || after != nil }

    /// Microseconds since 1970; nil where none was given.
    var time: Int64? {
        if let at { return at.microseconds }
        guard let after else { return nil }
        let (seconds, attoseconds) = after.duration.components
        return ClockTime.now + seconds * 1_000_000 + attoseconds / 1_000_000_000_000
    }
}

/// A moment: `2026-12-24T18:00:00Z`, `2026-12-24T18:00+01:00`; without a zone in the host's; `18:00` is the next one there is.
struct ClockTime: ExpressibleByArgument {
    /// Since 1970.
    let microseconds: Int64

    /// The host's clock.
    static var now: Int64 {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        return Int64(now.tv_sec) * 1_000_000 + Int64(now.tv_nsec) / 1000
    }

    init?(argument: String) { self.init(argument, now: ClockTime.now) }

    init?(_ text: String, now: Int64) {
        var rest = Substring(text)
        var parts = tm()
        var moment = time_t(now / 1_000_000)
        localtime_r(&moment, &parts)
        let isDated = text.contains("T") || text.contains(" ")
        if isDated {
            guard let year = ClockTime.digits(4, &rest, then: "-"), let month = ClockTime.digits(2, &rest, then: "-"),
                let day = ClockTime.digits(2, &rest), rest.first == "T" || rest.first == " ",
                (1...12).contains(month), (1...ClockTime.days(month, year)).contains(day)
            else { return nil }
            rest.removeFirst()
            (parts.tm_year, parts.tm_mon, parts.tm_mday) = (year - 1900, month - 1, day)
        }
        guard let hour = ClockTime.digits(2, &rest, then: ":"), let minute = ClockTime.digits(2, &rest), hour < 24,
            minute < 60
        else { return nil }
        (parts.tm_hour, parts.tm_min, parts.tm_sec) = (hour, minute, 0)
        if rest.first == ":" {
            rest.removeFirst()
            guard let second = ClockTime.digits(2, &rest), second < 60 else { return nil }
            parts.tm_sec = second
        }
        guard let zone = ClockTime.zone(rest, isDated: isDated) else { return nil }
        // Daylight saving is the zone's to know.
        parts.tm_isdst = -1
        switch zone {
        case .offset(let seconds): microseconds = (Int64(timegm(&parts)) - seconds) * 1_000_000
        case .local:
            var time = Int64(mktime(&parts)) * 1_000_000
            if !isDated, time <= now {
                parts.tm_mday += 1
                parts.tm_isdst = -1
                (parts.tm_hour, parts.tm_min) = (hour, minute)
                time = Int64(mktime(&parts)) * 1_000_000
            }
            microseconds = time
        }
    }

    private enum Zone {
        case local
        case offset(Int64)
    }

    private static func zone(_ text: Substring, isDated: Bool) -> Zone? {
        if text.isEmpty { return .local }
        guard isDated else { return nil }
        if text == "Z" || text == "z" { return .offset(0) }
        guard let sign = text.first, sign == "+" || sign == "-" else { return nil }
        var rest = text.dropFirst()
        guard let hours = digits(2, &rest, then: ":"), let minutes = digits(2, &rest), rest.isEmpty, hours < 24,
            minutes < 60
        else { return nil }
        return .offset((sign == "-" ? -1 : 1) * (Int64(hours) * 3600 + Int64(minutes) * 60))
    }

    /// A number of so many digits, and what must follow it.
    private static func digits(_ count: Int, _ rest: inout Substring, then next: Character? = nil) -> Int32? {
        let head = rest.prefix(count)
        guard head.count == count, head.allSatisfy({ ("0"..."9").contains($0) }), let number = Int32(head) else {
            return nil
        }
        rest.removeFirst(count)
        guard let next else { return number }
        guard rest.first == next else { return nil }
        rest.removeFirst()
        return number
    }

    private static func days(_ month: Int32, _ year: Int32) -> Int32 {
        switch month {
        case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
        case 4, 6, 9, 11: 30
        default: 31
        }
    }
}
