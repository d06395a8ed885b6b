// Amounts with the unit that keeps them short: what stands in a column is read, not computed with. `--json` has the
// exact numbers.

enum Units {
    /// `1,234,567`; from ten millions on `12.3M`.
    static func count(_ number: UInt64) -> String {
        number < 10_000_000 ? Text.grouped(number) : scaled(number, 1000, [("M", 2), ("G", 3), ("T", 4), ("P", 5)], "")
    }

    /// `812 B`, `4.0 KiB`, `12 MiB`.
    static func bytes(_ number: UInt64) -> String {
        guard number >= 1024 else { return "\(number) B" }
        return scaled(number, 1024, [("KiB", 1), ("MiB", 2), ("GiB", 3), ("TiB", 4), ("PiB", 5)], " ")
    }

    /// Of a second: `0`, `950`, `12.3k`, `1.2M`.
    static func rate(_ number: UInt64) -> String {
        number < 10_000 ? Text.grouped(number) : scaled(number, 1000, [("k", 1), ("M", 2), ("G", 3), ("T", 4)], "")
    }

    /// The two largest units of a time in milliseconds, or one where there is no room for more.
    static func duration(milliseconds: UInt64, parts: Int = 1) -> String {
        guard milliseconds >= 1000 else { return milliseconds == 0 ? "now" : "\(milliseconds)ms" }
        let seconds = milliseconds / 1000
        let units = [
            ("d", seconds / 86_400), ("h", seconds / 3600 % 24), ("min", seconds / 60 % 60), ("s", seconds % 60),
        ]
        let first = units.firstIndex { $0.1 > 0 } ?? 3
        return units[first..<min(first + parts, 4)].filter { $0.1 > 0 }.map { "\($0.1)\($0.0)" }.joined(separator: " ")
    }

    /// Of microseconds: `850us`, `1.2ms`, then as milliseconds.
    static func duration(microseconds: UInt64) -> String {
        if microseconds < 1000 { return "\(microseconds)us" }
        if microseconds < 1_000_000 { return Text.decimal(Double(microseconds) / 1000, places: 1) + "ms" }
        return duration(milliseconds: microseconds / 1000, parts: 2)
    }

    /// In the largest unit that leaves at least 1, with one decimal below 10.
    private static func scaled(_ number: UInt64, _ base: Double, _ units: [(String, Int)], _ space: String) -> String {
        var (name, value) = ("", Double(number))
        for (unit, power) in units {
            let candidate = Double(number) / (0..<power).reduce(1) { product, _ in product * base }
            // What rounding would show as 1000 belongs to the next unit; 9.95 is shown without a decimal.
            guard name.isEmpty || candidate >= 0.9995 else { break }
            (name, value) = (unit, candidate)
        }
        return Text.decimal(value, places: value < 99.95 && (value < 9.95 || base == 1000) ? 1 : 0) + space + name
    }
}
