import Testing

@testable import BusBroker

@Suite struct DurationHistogramTests {
    @Test func `quantiles of small numbers are exact`() {
        var histogram = DurationHistogram()
        #expect(histogram.quantile(0.5) == 0)
        for value in 1...10 as ClosedRange<UInt64> { histogram.note(value) }
        #expect(histogram.quantile(0.5) == 5)
        #expect(histogram.quantile(0.99) == 10 && histogram.quantile(0.01) == 1)
    }

    @Test func `whatever the size, what is told is at most a sixteenth too much and never too little`() {
        var value: UInt64 = 1
        while value < .max / 3 {
            for near in [value - 1, value, value + 1] {
                var histogram = DurationHistogram()
                histogram.note(near)
                let told = histogram.quantile(1)
                #expect(told >= near && told - near <= near / 16)
            }
            value = value * 3 + 1
        }
        var histogram = DurationHistogram()
        histogram.note(.max)
        #expect(histogram.quantile(0.5) == .max)
    }

    @Test func `what was long ago is forgotten`() {
        var histogram = DurationHistogram()
        for _ in 0..<20_000 { histogram.note(1000) }
        for _ in 0..<20_000 { histogram.note(10) }
        for _ in 0..<20_000 { histogram.note(10) }
        #expect(histogram.quantile(0.5) == 10)
        #expect(histogram.count <= DurationHistogram.countMax)
    }
}
