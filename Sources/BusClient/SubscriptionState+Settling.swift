// Settling: what an application says of a durable subscription's events, gathered and brought to the daemon, and the
// time it takes over them, extended as long as it is at work.

import BusTransport
import BusWire
import Synchronization

/// What a subscription keeps of deliveries that are to be settled.
struct DurableConsumer {
    /// Whether what was handed out is handled when more is asked for.
    let isAutomatic: Bool
    var deliveries = UnsettledDeliveries()
    /// The batch that the application is at, where that says what is handled.
    var current: EventBatch?
    /// How long the daemon waits for word of an event.
    var wait = DurableConsumer.waitDefault
    var timer: DeadlineTimer?

    /// The daemon's default.
    static let waitDefault = Duration.seconds(30)
    /// Below, extending would be all there is to do. Not tuned.
    static let waitMin = Duration.milliseconds(10)
}

extension SubscriptionState {
    // MARK: What comes

    /// A delivery came.
    func noteUnsettled(_ deliver: Deliver, of count: Int, _ selection: Selection) {
        guard consumer != nil, isAttended else { return }
        consumer?.deliveries.began(
            deliver.delivery, of: count, selection, bytes: UInt64(deliver.batch.count), at: core.reactor.now)
        armExtending()
    }

    /// What its events are settled by; nil where they aren't.
    func settlable(_ delivery: UInt64) -> SettlableDelivery? {
        guard consumer != nil else { return nil }
        return SettlableDelivery(subscription: self, life: life.load(ordering: .relaxed), number: delivery)
    }

    /// A delivery that doesn't open will never: no attempt at it helps.
    func rejectUnopenable(_ delivery: UInt64) {
        guard let settlable = settlable(delivery) else { return }
        settle(.reject, settlable, nil, because: Reason.unopenable.name)
    }

    /// The application is at this batch.
    func noteHandedOut(_ batch: EventBatch) {
        if consumer?.isAutomatic == true { consumer?.current = batch }
    }

    // MARK: What is said of it

    /// The application's word of one event, or of all of a delivery that are open. Too late, it changes nothing.
    func settle(
        _ settlement: Settlement, _ delivery: SettlableDelivery, _ place: Int?, delay: Duration? = nil,
        because why: String = ""
    ) {
        guard delivery.isCurrent, isAttended, consumer != nil else { return }
        let places = place.map { $0..<$0 + 1 }
        if settlement != .acknowledge {
            guard let events = consumer?.deliveries.openEvents(delivery.number, places) else { return }
            write(settlement, delivery.number, events, delay: delay, because: why)
        }
        guard settlement != .extend else { return }
        settle(delivery.number, places, acknowledged: settlement == .acknowledge)
    }

    private func settle(_ delivery: UInt64, _ places: Range<Int>?, acknowledged: Bool) {
        guard let freed = consumer?.deliveries.settle(delivery, places, acknowledged: acknowledged) else { return }
        free(freed)
    }

    /// A handler of batches returned.
    func handlerReturned(_ delivery: UInt64) {
        if consumer?.isAutomatic == true { settle(delivery, nil, acknowledged: true) }
    }

    /// Everything up to a delivery is handled.
    func acknowledge(through delivery: UInt64) {
        consumer?.current = nil
        guard let freed = consumer?.deliveries.acknowledge(through: delivery) else { return }
        free(freed)
    }

    /// Of the batch that is iterated event by event: those behind which another was asked for.
    func acknowledgePassed() {
        guard let current = consumer?.current, let delivery = current.delivery, delivery.isCurrent else { return }
        let count = current.passedCount.load(ordering: .relaxed)
        if count > 0 { settle(delivery.number, 0..<count, acknowledged: true) }
    }

    private func free(_ freed: UnsettledDeliveries.Freed) {
        guard freed.events > 0 else { return }
        consumed(events: freed.events, bytes: freed.bytes)
        noteDue()
    }

    // MARK: Telling

    /// At the round's end, and before leaving: what was acknowledged.
    func tellSettled() {
        guard isAttended, let words = consumer?.deliveries.takeWords() else { return }
        for word in words {
            switch word {
            case .through(let delivery):
                core.write(.acknowledge(Acknowledge(subscription: number, delivery: delivery)))
            case .events(let events, let delivery): write(.acknowledge, delivery, events)
            }
        }
    }

    private func write(
        _ settlement: Settlement, _ delivery: UInt64, _ events: Selection, delay: Duration? = nil,
        because why: String = ""
    ) {
        core.write(
            .settle(
                Settle(
                    settlement, subscription: number, delivery: delivery,
                    delayMilliseconds: delay?.milliseconds ?? 0, selection: SharedBytes(events.bytes), message: why)))
    }

    // MARK: Extending

    /// How long the daemon waits for word, as it says itself.
    func noteWait(_ wait: Duration) {
        guard consumer != nil else { return }
        consumer?.wait = max(wait, DurableConsumer.waitMin)
        guard let timer = consumer?.timer, timer.isArmed else { return }
        timer.disarm()
        armExtending()
    }

    private func armExtending() {
        guard let wait = consumer?.wait else { return }
        let timer = consumer?.timer ?? DeadlineTimer(on: core.reactor) { [weak self] in self?.extendHeld() }
        consumer?.timer = timer
        if !timer.isArmed { timer.arm(at: core.reactor.now + wait / 2) }
    }

    /// What has been here for half of the wait begins anew: what waits for the application, and, unless it says itself
    /// what it is at, what it has.
    private func extendHeld() {
        guard isAttended, let wait = consumer?.wait, let isAutomatic = consumer?.isAutomatic else { return }
        acknowledgePassed()
        let now = core.reactor.now
        let border = isAutomatic ? 0 : handedOut
        // What came shortly after goes along, so that the timer needn't fire for each.
        let limit = now + (wait / 8 - wait / 2)
        for (delivery, events) in consumer?.deliveries.takeStale(since: limit, behind: border, at: now) ?? [] {
            write(.extend, delivery, events)
        }
        guard let oldest = consumer?.deliveries.oldest(behind: border) else { return }
        consumer?.timer?.arm(at: oldest + wait / 2)
    }

    // MARK: The end

    /// The connection is gone, and with it all that was to be said over it.
    func forgetUnsettled() {
        guard consumer != nil else { return }
        consumer?.timer?.disarm()
        consumer?.deliveries = UnsettledDeliveries()
        consumer?.current = nil
        dropUnsettledArrivals()
    }

    /// It ends: nothing is settled any more, and what waits goes to another.
    func stopSettling() {
        forgetUnsettled()
        consumer?.timer = nil
    }
}

extension Duration {
    /// At least one unless it is nothing; within what a frame can say.
    fileprivate var milliseconds: UInt32 {
        guard self > .zero else { return 0 }
        let (seconds, attoseconds) = components
        let (product, overflow) = seconds.multipliedReportingOverflow(by: 1000)
        guard !overflow else { return .max }
        return max(1, UInt32(clamping: product + attoseconds / 1_000_000_000_000_000))
    }
}
