import BusWire
import Testing

@Suite("A quantity")
struct QuantityTests {
    @Test(
        "of time is a number and a unit",
        arguments: [
            ("500ms", 500_000), ("30s", 30_000_000), ("10m", 600_000_000), ("1h", 3_600_000_000),
            ("7d", 604_800_000_000), ("0s", 0), ("25us", 25), ("1.5h", 5_400_000_000), ("0.25s", 250_000),
            ("0.0000004s", nil), ("106751991d", 9_223_372_022_400_000_000), ("106751992d", nil),
        ] as [(String, Int64?)])
    func times(_ text: String, _ value: Int64?) {
        #expect(Quantity.microseconds(text) == value)
    }

    @Test(
        "of size is a number, bare or with a unit",
        arguments: [
            ("0", 0), ("1000", 1000), ("64KiB", 65_536), ("1MiB", 1 << 20), ("4GiB", 4 << 30), ("2TiB", 2 << 40),
            ("8388607TiB", 8_388_607 << 40), ("8388608TiB", nil), ("9223372036854775807", .max),
            ("9223372036854775808", nil),
        ] as [(String, Int64?)])
    func sizes(_ text: String, _ value: Int64?) {
        #expect(Quantity.bytes(text) == value)
    }

    @Test(
        "is nothing else",
        arguments: [
            "", " ", "s", "KiB", "-1s", "+1s", "1 s", "1S", "1e3s", "1.s", ".5s", "1..5s", "1.2.3s", "½h", "١s", "1KB",
            "-1KiB", "+1", "1.5MiB", "1kib", "0x10", "1_000", "1w", "one",
        ])
    func nonsense(_ text: String) {
        #expect(Quantity.microseconds(text) == nil && Quantity.bytes(text) == nil)
    }

    @Test("of time without a unit is one of seconds only where that is said")
    func bare() {
        #expect(Quantity.microseconds("3") == nil)
        #expect(Quantity.microseconds("3", bareIsSeconds: true) == 3_000_000)
        #expect(Quantity.microseconds("0.5", bareIsSeconds: true) == 500_000)
        #expect(Quantity.microseconds("3x", bareIsSeconds: true) == nil)
    }

    @Test("is written in the largest unit that is exact, and read again")
    func text() {
        let times: [Int64] = [0, 1, 999, 1000, 1500, 60_000_000, 90_000_000, 86_400_000_000, 604_800_000_000, .max]
        #expect(
            times.map { Quantity.text(microseconds: $0) } == [
                "0s", "1us", "999us", "1ms", "1500us", "1m", "90s", "1d", "7d", "9223372036854775807us",
            ])
        for time in times { #expect(Quantity.microseconds(Quantity.text(microseconds: time)) == time) }
        let sizes: [Int64] = [0, 1, 1000, 1024, 1536, 65_536, 1 << 20, 3 << 29, 1 << 40, .max]
        #expect(
            sizes.map { Quantity.text(bytes: $0) } == [
                "0", "1", "1000", "1KiB", "1536", "64KiB", "1MiB", "1536MiB", "1TiB", "9223372036854775807",
            ])
        for size in sizes { #expect(Quantity.bytes(Quantity.text(bytes: size)) == size) }
    }
}
