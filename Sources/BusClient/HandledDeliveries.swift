// Which deliveries are handled, when the events in them are handled out of order: an acknowledgement covers all before
// it, so it waits for the slowest. Pure.

import DequeModule

/// Deliveries that aren't handled yet, and the last before which all are.
struct HandledDeliveries {
    private struct Delivery {
        let number: UInt64
        var events: Int
        let bytes: UInt64
    }

    private var open: Deque<Delivery> = []
    /// The last delivery up to which all are handled.
    private(set) var through: UInt64 = 0

    /// A delivery came.
    ///
    /// - Parameter events: to be handled; 0 for one that brought nothing.
    mutating func began(_ number: UInt64, events: Int, bytes: UInt64) {
        guard number > open.last?.number ?? through else { return }
        open.append(Delivery(number: number, events: events, bytes: bytes))
        advance()
    }

    /// One event of a delivery is handled. Returns its bytes if it was the delivery's last.
    mutating func handledOne(of number: UInt64) -> UInt64 {
        guard let index = index(of: number), open[index].events > 0 else { return 0 }
        open[index].events -= 1
        guard open[index].events == 0 else { return 0 }
        let bytes = open[index].bytes
        advance()
        return bytes
    }

    /// Numbers count up by one, so that the place is known; but that is the daemon's word.
    private func index(of number: UInt64) -> Int? {
        guard let first = open.first?.number, number >= first else { return nil }
        if let guess = Int(exactly: number - first), guess < open.count, open[guess].number == number { return guess }
        return open.firstIndex { $0.number == number }
    }

    private mutating func advance() {
        while let first = open.first, first.events == 0 {
            through = first.number
            open.removeFirst()
        }
    }
}
