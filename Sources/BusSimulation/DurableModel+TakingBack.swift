// What publishers of events that wait are told, and who wants one back: that it waits, that it is taken back, or that it may
// not be or doesn't wait.

import BusBroker
import BusWire

extension DurableModel {
    // MARK: What publishers are told

    /// A publisher is told that its event waits.
    func receiptedAsWaiting(_ id: BusUUID, _ receipt: Receipt) throws(Violation) {
        let found = waitings.all.contains {
            $0.stored.id == id && ![.coming, .refused].contains($0.state) && $0.isHeard
        }
        try expect(found, "\(id) is receipted as waiting, and isn't on disk")
        try expect(receipt.firstSequence == 0, "\(id) waits, and has the sequence \(receipt.firstSequence)")
        tally[receipt.isDuplicate ? .known : .receipted] += 1
    }

    /// The broker is told something: as many wait as did, by its count, which goes by what it has heard of.
    func tick() {
        waitings.tick += 1
        guard waitings.countMax < 1000 else { return }
        for uid in Set(waitings.events.values.map(\.stored.uid)) where hasMost(uid) {
            waitings.hadMost[uid] = waitings.tick
        }
    }

    private func hasMost(_ uid: UInt32) -> Bool {
        let count = waitings.all.count {
            $0.stored.uid == uid && ($0.isThere || $0.goneAt > waitings.heardBefore)
        }
        return count >= waitings.countMax
    }

    /// Whether as many of a user waited as may at any time since then. What is refused is told behind what came before it.
    func hadMost(_ uid: UInt32, since tick: UInt64) -> Bool {
        hasMost(uid) || waitings.hadMost[uid].map { $0 >= tick } ?? false
    }

    /// Somebody wants an event back.
    func wish(_ request: UInt32, _ id: BusUUID, by uid: UInt32) {
        let waiting = waitings.inOrder.filter {
            $0.stored.id == id && $0.state == .waits && $0.isHeard && !$0.isMoving && !$0.isLeaving
        }
        waitings.wishes[request] = .init(id: id, uid: uid, since: waitings.ticket, waiting: waiting)
    }

    /// It is taken back: on disk.
    func granted(_ request: UInt32, _ count: UInt64) throws(Violation) {
        guard let wish = waitings.wishes.removeValue(forKey: request) else { return }
        let gone = waitings.all.filter {
            $0.stored.id == wish.id && $0.state == .takenBack && $0.goneAt <= waitings.heardTicket
        }
        try expect(count > 0 && gone.count >= Int(count), "\(count) of \(wish.id) are taken back: \(gone.count)")
    }

    /// It isn't.
    func denied(_ request: UInt32, _ reason: Reason) throws(Violation) {
        guard let wish = waitings.wishes.removeValue(forKey: request) else { return }
        switch reason {
        case .denied:
            let own = waitings.all.contains { $0.stored.id == wish.id && $0.stored.uid == wish.uid }
            try expect(!own && wish.uid != 0, "\(wish.uid) may not take \(wish.id) back")
        case .unknownName:
            let steady = wish.waiting.filter {
                $0.state == .waits && !$0.isMoving && !$0.isLeaving && $0.lastMoved <= wish.since
                    && !removedTopics.contains($0.stored.topic)
            }
            try expect(steady.isEmpty, "\(wish.id) waits, and can't be taken back")
        default: throw Violation("\(wish.id) can't be taken back: \(reason)")
        }
    }
}
