// One subscription inside a connection: what waits for the application, its credit, and what it has handled.

import BusTransport
import BusWire
import DequeModule
import Synchronization

/// What a subscription hands to the application: a batch, or word of what else happened.
public enum BatchArrival: Sendable {
    /// Events.
    case batch(EventBatch)
    /// Word of events missed, in its place.
    case missed(Missed)
    /// So many stored events have come; what follows is new.
    case caughtUp(UInt64)
}

/// Confined to its connection's reactor; `Sendable` so that the sequences over it are.
final class SubscriptionState: @unchecked Sendable {
    /// Who takes what arrives.
    enum Taker {
        /// Somebody who asks for the next.
        case iterator
        /// Called for each on the reactor; has handled it when it returns.
        case handler((BatchArrival) -> Void)
        /// Called for each on the reactor; says itself what it has handled, by `consumed` and `handled`.
        case responder((BatchArrival, _ delivery: UInt64, _ length: UInt64) -> Void)
    }

    unowned let core: ClientCore
    /// For who settles events, from anywhere; weak, since events may be held longer.
    weak var connection: BusConnection?
    /// Of a durable one that was attended by its name alone: `>` until the daemon has said it.
    var filter: TopicFilter
    let options: SubscribeOptions
    let group: [UInt8]
    let durableName: [UInt8]
    /// Whether the application knows a durable one by its name only.
    let isNamedOnly: Bool
    let responds: Bool
    private let taker: Taker
    var number: UInt32 = 0
    private(set) var isEnding = false
    private(set) var isConfirmed = false
    /// Whether it was asked for on an earlier connection, too.
    private(set) var wasAskedBefore = false
    /// Whether a durable one exists by now, so that nothing is said of where it begins.
    var exists = false
    /// Of a durable one that was altered since it was attended: its settings are no longer asked for.
    var leavesSettings = false
    private var confirmation: CheckedContinuation<Result<Void, BusError>, Never>?

    // Waiting for the application; bounded by the credit.
    private var arrivals: Deque<Waiting> = []
    private var next: CheckedContinuation<Result<BatchArrival?, BusError>, Never>?
    private var nextCount: UInt64 = 0
    private var ending: Result<Void, BusError>?
    /// Called once when it ends, with the reason unless it was the application's own wish.
    var onEnd: ((BusError?) -> Void)?

    /// An arrival, and the credit that is free again when the application has taken it.
    private struct Waiting {
        let arrival: BatchArrival
        var events: UInt64 = 0
        var bytes: UInt64 = 0
        /// Its number on this connection; 0 for what is no batch, and for what came over an earlier connection.
        var delivery: UInt64 = 0
    }

    /// How often its connection was lost.
    let life = Atomic<UInt64>(0)
    /// Of a durable one whose events are acknowledged.
    var consumer: DurableConsumer?
    private(set) var credit: SubscriptionCredit
    private var isDue = false
    private var lastDelivery: UInt64 = 0
    /// The last delivery the application was given.
    private(set) var handedOut: UInt64 = 0
    /// The last delivery the application has handled.
    private var handled: UInt64 = 0
    private var acknowledged: UInt64 = 0

    private var positions = TopicPositions()
    /// Stored events that were left out since they had been seen over an earlier connection.
    private var skippedCount: UInt64 = 0
    /// When the last event that came was accepted, of those that begin with what is stored: there it goes on.
    private(set) var lastTime: Int64?

    /// - Parameter filter: nil for a durable subscription by its name alone.
    /// - Throws: `BusError.badName` for a group against the rules, `.invalid` for options that exclude one another.
    init(
        _ core: ClientCore, filter: TopicFilter?, options: SubscribeOptions, taker: Taker
    ) throws(BusError) {
        self.core = core
        self.filter = filter ?? .everything
        isNamedOnly = filter == nil
        self.options = options
        self.taker = taker
        if case .responder = taker { responds = true } else { responds = false }
        try options.check(isResponder: responds)
        func name(_ name: String?) throws(BusError) -> [UInt8] {
            guard let name else { return [] }
            do throws(NameFault) { return try GroupName(name).bytes } catch { throw .badName(name, error) }
        }
        group = try name(options.group)
        durableName = try name(options.durable?.name)
        credit = SubscriptionCredit(events: options.creditEvents, bytes: options.creditBytes)
        if let durable = options.durable, durable.acknowledgement != .none {
            consumer = DurableConsumer(isAutomatic: durable.acknowledgement == .automatic)
        }
    }

    /// Others wait for what this one doesn't handle: they must know in time.
    private var acknowledgesPromptly: Bool { !group.isEmpty || responds }

    // MARK: Beginning and end

    /// Waits until the daemon has confirmed it.
    func confirmed() async -> Result<Void, BusError> {
        await withCheckedContinuation { continuation in
            if isConfirmed { return continuation.resume(returning: .success(())) }
            if let ending { return continuation.resume(returning: ending) }
            confirmation = continuation
            // Cancelled before it waited: who was to give it up may have been and found nothing.
            guard Task.isCancelled, refuseConfirmation(.cancelled) else { return }
            cancel()
        }
    }

    func confirm() {
        isConfirmed = true
        exists = true
        confirmation?.resume(returning: .success(()))
        confirmation = nil
    }

    /// Nobody waits for the daemon's word any more; false if nobody did.
    func refuseConfirmation(_ error: BusError) -> Bool {
        guard let waiting = confirmation else { return false }
        confirmation = nil
        waiting.resume(returning: .failure(error))
        return true
    }

    /// No more will come: nil for the application's own wish.
    func end(_ error: BusError?) {
        guard ending == nil else { return }
        let result: Result<Void, BusError> = error.map { .failure($0) } ?? .success(())
        ending = result
        stopSettling()
        // Who iterates is told there; a handler can't be.
        if let error, isConfirmed, core.failure == nil {
            if case .iterator = taker {
            } else {
                core.options.onNotice?(.subscriptionEnded(filter: filter, error))
            }
        }
        confirmation?.resume(returning: result)
        confirmation = nil
        onEnd?(error)
        onEnd = nil
        if arrivals.isEmpty, let waiting = next {
            next = nil
            waiting.resume(returning: result.map { nil })
        }
    }

    /// The application wants no more.
    func cancel() {
        guard !isEnding, ending == nil else { return }
        tellHandled(at: .leaving)
        acknowledgePassed()
        tellSettled()
        isEnding = true
        stopSettling()
        arrivals = []
        if let waiting = next {
            next = nil
            waiting.resume(returning: .success(nil))
        }
        core.subscribing.remove(self)
    }

    // MARK: Arrivals

    /// A delivery: its batch, or word that it can't be opened.
    func deliver(_ arrival: BatchArrival, events: UInt64, length: UInt64) {
        guard !isEnding else {
            // It was on its way, and who asked waits for a word.
            if case .responder(let take) = taker { take(arrival, 0, length) }
            return consumed(events: events, bytes: length)
        }
        switch taker {
        case .responder(let take): take(arrival, lastDelivery, length)
        case .handler(let take):
            let delivery = lastDelivery
            take(arrival)
            guard consumer == nil else { return handlerReturned(delivery) }
            handled(through: delivery)
            consumed(events: events, bytes: length)
        // What is to be settled is free again when it is.
        case .iterator where consumer != nil: offer(Waiting(arrival: arrival, delivery: lastDelivery))
        case .iterator: offer(Waiting(arrival: arrival, events: events, bytes: length, delivery: lastDelivery))
        }
    }

    /// Stored events that were seen over an earlier connection.
    func skip(events: UInt64, length: UInt64) {
        skippedCount += events
        consumed(events: events, bytes: length)
    }

    func miss(_ missed: Missed) { tell(.missed(missed)) }

    func caughtUp(_ count: UInt64) {
        tell(.caughtUp(count > skippedCount ? count - skippedCount : 0))
        skippedCount = 0
    }

    /// Word that came in no delivery.
    private func tell(_ arrival: BatchArrival) {
        guard !isEnding else { return }
        switch taker {
        case .handler(let take): take(arrival)
        case .responder(let take): take(arrival, 0, 0)
        case .iterator: offer(Waiting(arrival: arrival))
        }
    }

    private func offer(_ waiting: Waiting) {
        guard let next else { return arrivals.append(waiting) }
        self.next = nil
        next.resume(returning: .success(handOut(waiting)))
    }

    private func handOut(_ waiting: Waiting) -> BatchArrival {
        if waiting.delivery > 0 { handedOut = waiting.delivery }
        if case .batch(let batch) = waiting.arrival { noteHandedOut(batch) }
        consumed(events: waiting.events, bytes: waiting.bytes)
        return waiting.arrival
    }

    /// The next arrival; nil at the end.
    func nextArrival(isolation: isolated (any Actor)? = #isolation) async throws(BusError) -> BatchArrival? {
        if consumer?.isAutomatic ?? true { acknowledgeHandedOut() }
        if let result = takeNext() { return try result.get() }
        nextCount += 1
        let number = nextCount
        let reactor = core.reactor
        return try await withTaskCancellationHandler {
            // Captured, so that the closure is isolated like its caller.
            _ = isolation
            return await withCheckedContinuation { continuation in
                // Again: it may have come between the first look and here.
                if let result = takeNext() { return continuation.resume(returning: result) }
                precondition(next == nil, "one task at a time iterates over a subscription")
                next = continuation
                // Cancelled before it waited: `giveUp` may have been and found nothing.
                if Task.isCancelled { giveUp(number) }
            }
        } onCancel: {
            Task(executorPreference: reactor) { self.giveUp(number) }
        }.get()
    }

    /// What there is without waiting: an arrival, or the end.
    private func takeNext() -> Result<BatchArrival?, BusError>? {
        if let waiting = arrivals.popFirst() { return .success(handOut(waiting)) }
        if let ending { return ending.map { nil } }
        return isEnding ? .success(nil) : nil
    }

    /// The task that waits was cancelled: its sequence ends there, the subscription goes on.
    private func giveUp(_ number: UInt64) {
        guard number == nextCount, let waiting = next else { return }
        next = nil
        waiting.resume(returning: .success(nil))
    }

    // MARK: Credit and acknowledgement

    func noteDelivery(_ deliver: Deliver) {
        lastDelivery = deliver.delivery
        if options.start != .new { lastTime = max(lastTime ?? deliver.time, deliver.time) }
    }

    /// The application has taken this much: the daemon may send as much more.
    func consumed(events: UInt64, bytes: UInt64) {
        if credit.consume(events: events, bytes: bytes) { noteDue() }
    }

    /// The application has handled all deliveries up to this one.
    func handled(through delivery: UInt64) {
        guard delivery > handled else { return }
        handled = delivery
        if acknowledgesPromptly { noteDue() }
    }

    /// What was handed out is handled.
    func acknowledgeHandedOut() {
        guard consumer == nil else { return acknowledge(through: handedOut) }
        handled(through: handedOut)
    }

    func noteDue() {
        guard !isDue else { return }
        isDue = true
        core.noteCreditDue(self)
    }

    /// Whether the daemon knows it and it isn't to end.
    var isAttended: Bool { core.isOpen && !isEnding && ending == nil }

    private enum Moment { case roundEnd, leaving }

    /// At the round's end: what became due in it.
    func tellCredit() {
        isDue = false
        guard isAttended else { return }
        tellSettled()
        let due = credit.takeDue()
        if due != nil || acknowledgesPromptly { tellHandled(at: .roundEnd) }
        if let due { core.write(.credit(Credit(subscription: number, events: due.events, bytes: due.bytes))) }
    }

    private func tellHandled(at moment: Moment) {
        // Who leaves owes an account only where others get what it didn't handle.
        guard handled > acknowledged, moment == .roundEnd || acknowledgesPromptly, core.isOpen else { return }
        acknowledged = handled
        core.write(.acknowledge(Acknowledge(subscription: number, delivery: handled)))
    }

    // MARK: Positions

    private var keepsPositions: Bool { group.isEmpty && durableName.isEmpty }

    /// Takes note of where a topic is, and after a reconnect tells what was missed of it. False for a stored event that
    /// was seen before.
    func noteSequences(
        topic: Topic, incarnation: UInt64, first: UInt64, last: UInt64, count: UInt64, isStored: Bool
    ) -> Bool {
        // A group's other members get what this one doesn't, a durable one goes on where it was: nothing is missed.
        guard keepsPositions else { return true }
        if isStored { return positions.noteStored(topic, incarnation: incarnation, sequence: last, count: count) }
        if let missed = positions.note(topic, incarnation: incarnation, first: first, last: last) { miss(missed) }
        return true
    }

    func noteGap(topic: Topic, first: UInt64, last: UInt64) {
        guard keepsPositions, let missed = positions.noteGap(topic, first: first, last: last) else { return }
        miss(missed)
    }

    // MARK: Connections come and go

    func connectionLost() {
        wasAskedBefore = true
        life.wrappingAdd(1, ordering: .relaxed)
        lastDelivery = 0
        handedOut = 0
        handled = 0
        acknowledged = 0
        forgetUnsettled()
        for index in arrivals.indices { arrivals[index].delivery = 0 }
        credit.restart(
            heldEvents: arrivals.reduce(0) { $0 + $1.events }, heldBytes: arrivals.reduce(0) { $0 + $1.bytes })
    }

    /// Of what is to be settled, what waits for the application comes again: by the next connection, or to another.
    func dropUnsettledArrivals() {
        arrivals.removeAll { if case .missed = $0.arrival { false } else { true } }
    }

    /// Says what can't be known. With the same daemon, topics heard of before will tell exactly, with their next event;
    /// durable ones always will.
    func connectionRestored(sameDaemon: Bool) {
        skippedCount = 0
        positions.connectionRestored(sameDaemon: sameDaemon)
        guard durableName.isEmpty else { return }
        let knowsOnlyDurable = positions.knowsOnlyDurable
        if lastTime != nil, knowsOnlyDurable { return }
        let reason: Reason = sameDaemon || knowsOnlyDurable ? .reconnected : .busRestarted
        miss(Missed(count: nil, topic: nil, firstSequence: 0, lastSequence: 0, reason: reason))
    }
}
