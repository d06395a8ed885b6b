// Which events of a durable subscription's deliveries are still to be settled, and what of that the daemon is to hear:
// as much as possible in one number; single events only where one before them is open. Pure.
//
// Entries lie in the order of their numbers. One that stays open holds those behind it, which are let go of together
// once they are more than the open ones, so that memory follows what is open.

import BusTransport
import BusWire
import DequeModule

/// Deliveries that aren't settled yet.
struct UnsettledDeliveries {
    /// What is free again for others.
    struct Freed: Equatable {
        var events: UInt64 = 0
        var bytes: UInt64 = 0
    }

    /// An acknowledgement for the daemon.
    enum Word: Equatable {
        /// Everything up to this delivery.
        case through(UInt64)
        /// These events of one delivery; `.all`: all that it brought.
        case events(Selection, of: UInt64)
    }

    /// In order; the first has something open.
    private var deliveries: Deque<Delivery> = []
    /// How many of them have something open.
    private(set) var openCount = 0
    private var lastNumber: UInt64 = 0
    /// Everything up to here is settled.
    private var through: UInt64 = 0
    /// How much of that the daemon knows.
    private var toldThrough: UInt64 = 0
    /// Deliveries with acknowledged events that the daemon doesn't know of, each once.
    private var untold: [UInt64] = []

    /// A delivery came.
    ///
    /// - Parameters:
    ///   - count: how many events its batch has.
    ///   - selection: which of them it brought.
    mutating func began(
        _ number: UInt64, of count: Int, _ selection: Selection, bytes: UInt64, at now: MonotonicInstant
    ) {
        // Numbers count up, but that is the daemon's word.
        guard number > lastNumber else { return }
        lastNumber = number
        openCount += 1
        deliveries.append(Delivery(number, of: count, selection, bytes: bytes, at: now))
    }

    /// Settles what is open of a delivery. Returns what is free again: nothing if it came too late.
    ///
    /// - Parameters:
    ///   - places: of the batch; nil for all it brought.
    ///   - acknowledged: whether the daemon is still to be told, with the next words.
    mutating func settle(_ number: UInt64, _ places: Range<Int>?, acknowledged: Bool) -> Freed {
        guard let index = index(of: number), deliveries[index].isOpen else { return Freed() }
        let wasTold = !deliveries[index].isUntold
        var freed = Freed(events: UInt64(deliveries[index].settle(places, acknowledged: acknowledged)))
        if wasTold, deliveries[index].isUntold { untold.append(number) }
        if !deliveries[index].isOpen {
            openCount -= 1
            freed.bytes = deliveries[index].bytes
        }
        while let first = deliveries.first, !first.isOpen { through = deliveries.removeFirst().number }
        return freed
    }

    /// Acknowledges everything that is open up to a delivery.
    mutating func acknowledge(through number: UInt64) -> Freed {
        var freed = Freed()
        while let first = deliveries.first?.number, first <= number {
            let now = settle(first, nil, acknowledged: true)
            freed.events += now.events
            freed.bytes += now.bytes
        }
        return freed
    }

    /// Which of a delivery's events at these places are open, nil for all places; `.all` where that is all it brought.
    func openEvents(_ number: UInt64, _ places: Range<Int>?) -> Selection? {
        index(of: number).flatMap { deliveries[$0].openEvents(places) }
    }

    /// What was acknowledged since the last time.
    mutating func takeWords() -> [Word] {
        var words: [Word] = []
        if through > toldThrough {
            toldThrough = through
            words.append(.through(through))
        }
        for number in untold {
            guard let index = index(of: number), let events = deliveries[index].takeUntold() else { continue }
            words.append(.events(events, of: number))
        }
        untold.removeAll(keepingCapacity: true)
        if deliveries.count > 2 * openCount + 64 { deliveries.removeAll { !$0.isOpen } }
        return words
    }

    // MARK: Held for long

    /// How many entries are kept.
    var entryCount: Int { deliveries.count }

    /// What has been held since before `limit`, behind delivery `border`; it counts as new from now on.
    mutating func takeStale(
        since limit: MonotonicInstant, behind border: UInt64, at now: MonotonicInstant
    ) -> [(delivery: UInt64, events: Selection)] {
        var stale: [(delivery: UInt64, events: Selection)] = []
        for index in deliveries.indices where deliveries[index].number > border && deliveries[index].since <= limit {
            guard let events = deliveries[index].openEvents(nil) else { continue }
            deliveries[index].since = now
            stale.append((deliveries[index].number, events))
        }
        return stale
    }

    /// Since when the longest held one behind delivery `border` is; nil if there is none.
    func oldest(behind border: UInt64) -> MonotonicInstant? {
        deliveries.lazy.filter { $0.number > border && $0.isOpen }.map(\.since).min()
    }

    // MARK: Finding

    /// Mostly they count up by one from the first; else, where some were let go of, they are still in order.
    private func index(of number: UInt64) -> Int? {
        guard let first = deliveries.first?.number, number >= first else { return nil }
        if let guess = Int(exactly: number - first), guess < deliveries.count, deliveries[guess].number == number {
            return guess
        }
        var (low, high) = (0, deliveries.count)
        while low < high {
            let middle = (low + high) / 2
            if deliveries[middle].number < number { low = middle + 1 } else { high = middle }
        }
        return low < deliveries.count && deliveries[low].number == number ? low : nil
    }
}

extension UnsettledDeliveries {
    /// One delivery and what of it is open.
    private struct Delivery {
        let number: UInt64
        let bytes: UInt64
        /// Since when it is held without a word to the daemon.
        var since: MonotonicInstant
        private let count: Int
        private let selection: Selection
        private let broughtCount: Int
        private var openCount: Int
        /// By place in the batch; empty as long as nothing, or all at once, was settled.
        private var isSettled: [Bool] = []
        private var untold: Untold?

        /// Acknowledged events that the daemon hasn't heard of.
        private enum Untold {
            case all
            case places([Int])
        }

        init(_ number: UInt64, of count: Int, _ selection: Selection, bytes: UInt64, at now: MonotonicInstant) {
            self.number = number
            self.bytes = bytes
            self.count = count
            self.selection = selection
            broughtCount = selection.count(of: count)
            openCount = broughtCount
            since = now
        }

        var isOpen: Bool { openCount > 0 }

        /// Whether the daemon is to hear of acknowledged events.
        var isUntold: Bool { untold != nil }

        private func isOpen(_ place: Int) -> Bool {
            isOpen && selection.contains(place) && (isSettled.isEmpty || !isSettled[place])
        }

        func openEvents(_ places: Range<Int>?) -> Selection? {
            let isWhole = openCount == broughtCount
            guard let places else { return isWhole ? .all : Selection(of: count) { isOpen($0) } }
            if isWhole, broughtCount == 1, places.contains(where: isOpen) { return .all }
            return Selection(of: count) { places.contains($0) && isOpen($0) }
        }

        /// Returns how many were settled now.
        mutating func settle(_ places: Range<Int>?, acknowledged: Bool) -> Int {
            let before = openCount
            if places == nil, openCount == broughtCount {
                openCount = 0
                if acknowledged { untold = .all }
                return before
            }
            if isSettled.isEmpty { isSettled = Array(repeating: false, count: count) }
            for place in (places ?? 0..<count).clamped(to: 0..<count) where isOpen(place) {
                isSettled[place] = true
                openCount -= 1
                if acknowledged { noteUntold(place) }
            }
            if openCount == 0 { isSettled = [] }
            return before - openCount
        }

        private mutating func noteUntold(_ place: Int) {
            var places: [Int] = []
            if case .places(let earlier) = untold {
                // Taken out meanwhile, so that it isn't copied.
                places = earlier
                untold = nil
            }
            places.append(place)
            untold = .places(places)
        }

        mutating func takeUntold() -> Selection? {
            defer { untold = nil }
            switch untold {
            case nil: return nil
            case .all: return .all
            case .places(let places):
                if places.count == broughtCount { return .all }
                let set = Set(places)
                return Selection(of: count) { set.contains($0) }
            }
        }
    }
}
