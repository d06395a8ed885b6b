// Values under numbers that rise: against a dictionary that is sorted each time.

import Testing

@testable import BusBroker

@Suite struct NumberedValuesTests {
    @Test func `it holds what a sorted dictionary does`() {
        var values = NumberedValues<UInt64>()
        var model: [UInt64: UInt64] = [:]
        var random = SystemRandomNumberGenerator()
        var last: UInt64 = 0
        for step in 0..<8000 {
            let number = UInt64.random(in: 0...last + 1, using: &random)
            // First it grows, then it shrinks.
            switch Int.random(in: 0..<(step < 4000 ? 5 : 8), using: &random) {
            case 0...2:
                last += UInt64.random(in: 1...3, using: &random)
                values.append(last * 10, under: last)
                model[last] = last * 10
            case 3:
                #expect(values.popFirst() == model.keys.min().flatMap { model.removeValue(forKey: $0) })
            case 4:
                values[number]? += 1
                model[number]? += 1
            default:
                values[number] = nil
                model[number] = nil
            }
            guard step.isMultiple(of: 97) else { continue }
            let numbers = model.keys.sorted()
            #expect(Array(values.numbers(from: 0)) == numbers)
            #expect(Array(values.numbers(from: number)) == numbers.filter { $0 >= number })
            #expect(Array(values.values) == numbers.compactMap { model[$0] })
            #expect(values.count == model.count && values.isEmpty == model.isEmpty)
            #expect(values.first?.number == numbers.first && values[number] == model[number])
        }
    }

    @Test func `the last can be replaced, and what was taken out isn't put back`() {
        var values = NumberedValues<Int>()
        values.append(1, under: 3)
        values.append(2, under: 3)
        #expect(Array(values.values) == [2] && values.count == 1)
        values.append(5, under: 7)
        values[7] = nil
        values[7] = 6
        values[4] = 6
        #expect(values[7] == nil && values.count == 1)
        values.append(8, under: 7)
        #expect(Array(values.values) == [2, 8] && values.count == 2)
        values.removeAll()
        #expect(values.isEmpty && values.first == nil && values.popFirst() == nil)
    }
}
