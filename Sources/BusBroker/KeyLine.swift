// Keys in the order in which they joined, each once. One that leaves keeps its place, which isn't its any more, until
// the line is gone through or half of it is such places: to leave costs nothing, however long the line is.

import DequeModule

struct KeyLine {
    /// A place in a line: whose it is is told by who has its number.
    private struct Place {
        let key: OrderedKey
        let number: UInt64
    }

    private var places: Deque<Place> = []
    private var numbers: [OrderedKey: UInt64] = [:]
    private var nextNumber: UInt64 = 1

    /// How many stand in it.
    var count: Int { numbers.count }
    var isEmpty: Bool { numbers.isEmpty }

    mutating func join(_ key: OrderedKey) {
        guard numbers[key] == nil else { return }
        if places.count > 2 * numbers.count + 16 { places.removeAll { numbers[$0.key] != $0.number } }
        numbers[key] = nextNumber
        places.append(Place(key: key, number: nextNumber))
        nextNumber += 1
    }

    mutating func leave(_ key: OrderedKey) {
        numbers[key] = nil
        while let first = places.first, numbers[first.key] != first.number { places.removeFirst() }
    }

    func contains(_ key: OrderedKey) -> Bool { numbers[key] != nil }

    /// Goes through it until told that it's enough.
    func forEach(_ body: (OrderedKey) -> Bool) {
        for place in places where numbers[place.key] == place.number {
            guard body(place.key) else { return }
        }
    }

    mutating func removeAll() { self = KeyLine() }
}
