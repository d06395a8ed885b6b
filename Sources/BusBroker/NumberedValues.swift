// Values under numbers that rise, as deliveries have them. They come at the end, mostly go from the front, and now and
// then from the middle: what goes there leaves its place empty, and empty places are cleared away when they are more
// than those that hold something. So taking one out costs what finding it does, however many lie around it.

import DequeModule

struct NumberedValues<Value> {
    private struct Place {
        let number: UInt64
        var value: Value?
    }

    /// In the order of their numbers. Never empty in front.
    private var places: Deque<Place> = []
    private(set) var count = 0

    var isEmpty: Bool { count == 0 }
    var first: (number: UInt64, value: Value)? {
        places.first.flatMap { place in place.value.map { (place.number, $0) } }
    }

    /// All that there is, in order.
    var values: some Collection<Value> { places.lazy.compactMap(\.value) }

    /// The numbers of what there is, from one on.
    func numbers(from number: UInt64) -> some Sequence<UInt64> {
        places[index(of: number)...].lazy.filter { $0.value != nil }.map(\.number)
    }

    /// What lies under a number. `nil` in its stead takes it out; what isn't there can't be changed.
    subscript(number: UInt64) -> Value? {
        get { place(of: number).flatMap { places[$0].value } }
        set {
            guard let place = place(of: number), places[place].value != nil else { return }
            places[place].value = newValue
            guard newValue == nil else { return }
            count -= 1
            clearAway()
        }
    }

    /// Puts a value behind all others, or in the place of the last if it has the same number.
    mutating func append(_ value: Value, under number: UInt64) {
        if let last = places.last, last.number >= number {
            precondition(last.number == number, "numbers rise: \(number) came behind \(last.number)")
            if last.value == nil { count += 1 }
            places[places.endIndex - 1].value = value
            return
        }
        places.append(Place(number: number, value: value))
        count += 1
    }

    mutating func popFirst() -> Value? {
        guard let value = places.popFirst()?.value else { return nil }
        count -= 1
        clearAway()
        return value
    }

    mutating func removeAll() { self = NumberedValues() }

    private func place(of number: UInt64) -> Int? {
        let index = index(of: number)
        return index < places.endIndex && places[index].number == number ? index : nil
    }

    /// Where a number is, or would be: by its distance from the first where none is left out, else by halving.
    private func index(of number: UInt64) -> Int {
        guard let first = places.first, number > first.number else { return places.startIndex }
        if number - first.number < UInt64(places.count) {
            let guess = Int(number - first.number)
            if places[guess].number == number { return guess }
        }
        var (low, high) = (places.startIndex, places.endIndex)
        while low < high {
            let middle = (low + high) / 2
            if places[middle].number < number { low = middle + 1 } else { high = middle }
        }
        return low
    }

    private mutating func clearAway() {
        while let first = places.first, first.value == nil { places.removeFirst() }
        if places.count > 2 * count + 16 { places.removeAll { $0.value == nil } }
    }
}
