// Times and sizes as people write them, in files and on command lines alike: `500ms`, `7d`, `64KiB`.

/// Text to number and back. Nothing is guessed: what isn't whole bytes or microseconds, or has no unit, is no quantity.
public enum Quantity {
    private static let times: [(name: String, microseconds: Int64)] = [
        ("d", 86_400_000_000), ("h", 3_600_000_000), ("m", 60_000_000), ("s", 1_000_000), ("ms", 1000), ("us", 1),
    ]
    private static let sizes: [(name: String, bytes: Int64)] = [
        ("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10),
    ]

    /// A span of time, as microseconds: `500ms`, `30s`, `10m`, `1h`, `7d`, also `1.5h`.
    ///
    /// - Parameter bareIsSeconds: whether a number without a unit is one of seconds.
    public static func microseconds(_ text: String, bareIsSeconds: Bool = false) -> Int64? {
        // The longest of the units it ends with: `5ms` isn't minutes of seconds.
        let unit = times.filter { text.hasSuffix($0.name) }.max { $0.name.utf8.count < $1.name.utf8.count }
        if let unit { return product(text.dropLast(unit.name.count), unit.microseconds) }
        return bareIsSeconds ? product(text[...], 1_000_000) : nil
    }

    /// A number of bytes: bare, or with KiB, MiB, GiB or TiB. No fractions.
    public static func bytes(_ text: String) -> Int64? {
        guard !text.utf8.contains(UInt8(ascii: ".")) else { return nil }
        if let unit = sizes.first(where: { text.hasSuffix($0.name) }) {
            return product(text.dropLast(unit.name.count), unit.bytes)
        }
        return product(text[...], 1)
    }

    /// A time in the largest unit of which it is a whole number: `90s`, `7d`, `0s`.
    public static func text(microseconds: Int64) -> String {
        guard microseconds != 0 else { return "0s" }
        let unit = times.first { microseconds.isMultiple(of: $0.microseconds) }
        return unit.map { "\(microseconds / $0.microseconds)\($0.name)" } ?? "\(microseconds)us"
    }

    /// A size in the largest unit of which it is a whole number: `64KiB`, `1000`.
    public static func text(bytes: Int64) -> String {
        guard bytes != 0, let unit = sizes.first(where: { bytes.isMultiple(of: $0.bytes) }) else { return "\(bytes)" }
        return "\(bytes / unit.bytes)\(unit.name)"
    }

    /// Digits, with a fraction where the unit has room for it, times the unit; nil beyond what an Int64 holds.
    private static func product(_ number: Substring, _ unit: Int64) -> Int64? {
        let parts = number.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
        guard let first = parts.first, let whole = digits(first) else { return nil }
        let (value, overflow) = whole.multipliedReportingOverflow(by: unit)
        guard !overflow else { return nil }
        guard parts.count == 2 else { return value }
        guard let fraction = digits(parts[1]), parts[1].utf8.count <= 6 else { return nil }
        let scale = parts[1].utf8.reduce(Int64(1)) { scale, _ in scale * 10 }
        let (sum, isTooMuch) = value.addingReportingOverflow(fraction * unit / scale)
        return isTooMuch ? nil : sum
    }

    private static func digits(_ text: Substring) -> Int64? {
        text.utf8.allSatisfy { UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 } ? Int64(text) : nil
    }
}
