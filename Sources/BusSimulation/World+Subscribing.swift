// What subscribers do: subscribe alone or in groups, give credit, acknowledge; or never do again.

import BusBroker
import BusWire

extension World {
    /// Mostly a number that exists.
    func pickSubscription(_ session: ModelSession) -> UInt32 {
        chance.chance(5) ? 99 : chance.pickAny(session.subscriptions.keys.sorted()) ?? 1
    }

    func subscribe(_ action: Action, _ session: ModelSession) throws(Violation) {
        let bad = ["", "a.>.b", "a..b", "a*", "$reply.>", "$reply.*", "$reply.1"]
        let filter = action == .badFilter ? chance.pick(bad) : chance.pick(knobs.filters)
        var request = makeSubscribe(filter)
        if chance.chance(knobs.groupPercent) {
            request.group = Array(chance.pick(knobs.groups).utf8)
            if chance.chance(knobs.exclusivePercent) { request.mode.insert(.exclusive) }
        } else if chance.chance(knobs.lastPercent) {
            request.mode.insert(.last)
        }
        if chance.chance(knobs.respondPercent) { request.mode.insert(.responds) }
        if knobs.keyPercent > 0, !request.group.isEmpty { widen(&request, action) }
        if action == .subscribeOddly { makeOdd(&request) }
        try receive(.subscribe(request), session)
    }

    /// Nothing is lost where keys are looked at: what waits beside a queue isn't in its bounds, and which of its events that
    /// are would have to be guessed.
    private func widen(_ request: inout Subscribe, _ action: Action) {
        if action == .subscribeOddly { (request.group, request.mode) = ([], []) }
        (request.overflow, request.queueEventCount, request.queueLength) = (
            OverflowPolicy.dropOldest.rawValue, 1 << 20, 1 << 30
        )
    }

    func makeSubscribe(_ filter: String) -> Subscribe {
        Subscribe(
            subscription: UInt32(chance.within(1...4)), filter: Array(filter.utf8),
            overflow: chance.chance(knobs.stallPercent) ? .stall : chance.pick(knobs.policies),
            stallMilliseconds: chance.pick([0, 5, 30, 30, 30]),
            queueEventCount: UInt32(chance.within(1...knobs.queueEventCountMax)),
            queueLength: chance.chance(70) ? 1 << 20 : UInt64(chance.within(1...5000)),
            creditEvents: UInt64(chance.within(0...knobs.creditMax)),
            creditBytes: chance.chance(80) ? 1 << 40 : UInt64(chance.within(0...3000)))
    }

    /// What no library asks for.
    private func makeOdd(_ request: inout Subscribe) {
        switch chance.below(7) {
        case 0: request.overflow = 9
        case 1: request.group = Array(chance.pick(["a.b", "$g", "*", "g h", String(repeating: "g", count: 65)]).utf8)
        case 2: request.mode.insert(SubscribeMode(rawValue: 64))
        case 3: request.mode.formUnion([.exclusive, .last])
        case 4: request.creditEvents = .max
        case 5: request.stallMilliseconds = .max
        default: request.overflow = (request.overflow + 1) % 5
        }
    }

    func credit(_ action: Action, _ session: ModelSession) throws(Violation) {
        let number = pickSubscription(session)
        guard let subscription = session.subscriptions[number] else {
            return try receive(.credit(Credit(subscription: number, events: 1, bytes: 1)), session)
        }
        guard !isDead(subscription) else { return }
        var credit = Credit(
            subscription: number, events: subscription.creditEvents, bytes: subscription.creditBytes)
        if action == .creditBack {
            if chance.chance(50) {
                credit.events = .max
            } else {
                credit.bytes = credit.bytes > 0 ? credit.bytes - 1 : .max
            }
        } else {
            credit.events = max(credit.events, subscription.sentEvents + UInt64(chance.within(0...knobs.creditMax)))
            credit.bytes = max(credit.bytes, subscription.sentBytes + UInt64(chance.within(0...5000)))
        }
        try receive(.credit(credit), session)
    }

    /// Whether a subscription's credit never comes, nor its acknowledgements.
    private func isDead(_ subscription: ModelSubscription) -> Bool {
        (subscription.session.id.rawValue * 7 + UInt64(subscription.number) * 13) % 100 < UInt64(knobs.deadPercent)
    }

    func acknowledge(_ action: Action, _ session: ModelSession) throws(Violation) {
        let number = pickSubscription(session)
        let subscription = session.subscriptions[number]
        if let subscription, isDead(subscription) { return }
        let last = subscription?.lastDelivery ?? 0
        let delivery =
            action == .acknowledgeUnsent
            ? last + 1 : chance.chance(50) ? last : UInt64(chance.within(0...Int(last)))
        try receive(.acknowledge(Acknowledge(subscription: number, delivery: delivery)), session)
    }
}
