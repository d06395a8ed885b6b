// What publishers leave for later, send again in whichever way, and want back.

import BusBroker
import BusWire

extension DurableWorld {
    /// Soon, some time, late, hardly ever; or it was in the past.
    func pickDue() -> Int64 {
        let seconds: Int64 = chance.pick([-1, 0, 1, 1, 3, 3, 10, 60, 400])
        // Rarely further than anything may be.
        guard !chance.chance(2) else { return model.now.wall + 367 * 86_400_000_000 }
        return model.now.wall + seconds * 1_000_000 + Int64(chance.within(0...1000)) * 1000
    }

    /// What is sent again may be wanted at another time now, or at once: what is known already stays as it is.
    func chooseDue(_ event: inout Unreceipted) {
        if event.isAgain, event.eventCount == 1, event.due != nil, chance.chance(30) {
            event.due = chance.chance(30) ? nil : pickDue()
        }
        guard event.due != nil || model.waitings.asked[event.firstID] != nil else { return }
        model.waitings.asked[event.firstID, default: []].append(event.due ?? .min)
    }

    /// Whether a receipt is for something that waits.
    func waits(_ event: Unreceipted, _ receipt: Receipt, _ publisher: DurablePublisher) throws(Violation) -> Bool {
        if event.due != nil, !isEnding, chance.chance(15) {
            // Its publisher doesn't trust the receipt, and sends it again: behind what it has under way.
            var again = event
            (again.isAgain, again.number) = (true, 0)
            publisher.outbox.append(again)
        }
        guard receipt.isScheduled else { return false }
        let wasAsked = model.waitings.asked[event.firstID] != nil
        try expect(wasAsked, "\(event.firstID) is receipted as waiting, and was to be published at once")
        try model.receiptedAsWaiting(event.firstID, receipt)
        return true
    }

    /// Whether what is for later may be refused for this.
    func isForeseen(_ reason: Reason, of event: Unreceipted, _ uid: UInt32) -> Bool {
        guard let due = event.due else { return false }
        return switch reason {
        case .malformedBatch: event.eventCount > 1
        case .quotaExceeded: model.hadMost(uid, since: event.sentAt)
        case .invalidSetting: due > model.now.wall + 300 * 86_400_000_000
        default: false
        }
    }

    /// What waits under an id, as the store finds it.
    func waiting(_ wish: Administer) -> [StoredScheduled] {
        store.disk.scheduled.values.filter { $0.id.description == wish.key }.sorted { $0.number < $1.number }
    }

    /// Somebody wants an event back: one that waits, or one that did.
    func takeBack() throws(Violation) {
        let there = model.waitings.inOrder.filter(\.isThere)
        let all = there.isEmpty || chance.chance(15) ? model.waitings.past + model.waitings.inOrder : there
        guard let event = chance.pickAny(all) else { return }
        // Most that are due soon: those are on their way.
        let soonest = there.min { $1.isBehind($0.stored) }
        let id = (chance.chance(40) ? soonest ?? event : event).stored.id
        let uid = chance.chance(70) ? event.stored.uid : chance.pick([0, 1000, 1001])
        let session = try open(uid: uid)
        nextRequest += 1
        model.wish(nextRequest, id, by: uid)
        let wish = Administer(request: nextRequest, .cancelScheduled, key: id.description)
        try handle(.received(session, .administer(wish)))
    }

    /// Everything that waits is published, when it is due and not much later.
    func finishWaiting() throws(Violation) {
        isEnding = true
        try setClock(0)
        guard !model.waitings.inOrder.filter(\.isThere).isEmpty else { return }
        try settleStore()
        // A daemon that began when the store was full goes on as if it were.
        if beganFull { try chance.chance(50) ? stop() : die(isClean: false) }
        // By then the clock is believed, as it is right.
        for _ in 0..<31 {
            try advance(10_000_000_000)
            try settleStore()
        }
        for _ in 0..<64 {
            try expectPublished()
            guard let next = model.waitings.inOrder.filter({ $0.state == .waits }).map(\.stored.due).min() else {
                return
            }
            try advance(UInt64(max(next - model.now.wall, 0)) * 1000 + 5_000_000_000)
            for _ in 0..<4 {
                try endRound()
                try settleStore()
                try advance(1_500_000_000)
            }
        }
    }

    private func expectPublished() throws(Violation) {
        let late = model.waitings.inOrder.filter { $0.state == .waits && $0.stored.due <= model.now.wall - 5_000_000 }
        try expect(late.isEmpty, "\(late.map(\.stored.number)) are due at \(late.map(\.stored.due)), and still wait")
    }
}
