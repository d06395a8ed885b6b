// One subscription inside a connection: its credit, what waits for the application, and where it was.

import BusTransport
import BusWire
import DequeModule

/// What a subscription hands to the application: a batch, or word of what it missed.
public enum BatchArrival: Sendable {
    /// Events.
    case batch(EventBatch)
    /// Word of events missed, in its place.
    case missed(Missed)
}

/// Confined to its connection's reactor; `Sendable` so that the sequences over it are.
final class SubscriptionState: @unchecked Sendable {
    private unowned let core: ClientCore
    let filter: TopicFilter
    private let options: SubscribeOptions
    /// Called for each arrival on the reactor; nil for those who iterate.
    private let handler: ((BatchArrival) -> Void)?
    var number: UInt32 = 0
    private(set) var isEnding = false
    private var isConfirmed = false
    private var confirmation: CheckedContinuation<Result<Void, BusError>, Never>?

    // Waiting for the application; bounded by the credit.
    private var arrivals: Deque<Waiting> = []
    private var next: CheckedContinuation<Result<BatchArrival?, BusError>, Never>?
    private var nextCount: UInt64 = 0
    private var ending: Result<Void, BusError>?

    /// An arrival, and the credit that is free again when the application has taken it.
    private struct Waiting {
        let arrival: BatchArrival
        var events: UInt64 = 0
        var bytes: UInt64 = 0
        /// Its number on this connection; 0 for a gap, and for what came over an earlier connection.
        var delivery: UInt64 = 0
    }

    // Credit, as totals since it subscribed on this connection.
    private var consumedEvents: UInt64 = 0
    private var consumedBytes: UInt64 = 0
    private var grantedEvents: UInt64 = 0
    private var grantedBytes: UInt64 = 0
    /// What waited for the application when this connection began: it has its place in the window until it is taken.
    private var heldEvents: UInt64 = 0
    private var heldBytes: UInt64 = 0
    private var lastDelivery: UInt64 = 0
    private var acknowledged: UInt64 = 0

    /// The last position seen of each topic, to know after a reconnect what was missed.
    private var positions: [Topic: UInt64] = [:]
    private var recentTopic: Topic?
    private var recentPosition: UInt64 = 0
    /// Positions from before a reconnect to the same daemon, of topics that haven't been heard of since.
    private var untold: [Topic: UInt64] = [:]
    /// More than any process holds, and far enough from where totals end.
    private static let creditMax: UInt64 = 1 << 48
    /// Topics remembered; of others it is said that it can't be known. Not tuned.
    private static let positionsMax = 65_536

    init(
        _ core: ClientCore, filter: TopicFilter, options: SubscribeOptions, handler: ((BatchArrival) -> Void)?
    ) {
        self.core = core
        self.filter = filter
        // "As much as you like" must leave room to count on.
        var bounded = options
        bounded.creditEvents = min(options.creditEvents, SubscriptionState.creditMax)
        bounded.creditBytes = min(options.creditBytes, SubscriptionState.creditMax)
        self.options = bounded
        self.handler = handler
        grantedEvents = bounded.creditEvents
        grantedBytes = bounded.creditBytes
    }

    var request: Subscribe {
        let (seconds, fraction) = options.stallTime.components
        let milliseconds = seconds.clampedMilliseconds(fraction)
        return Subscribe(
            subscription: number, filter: filter.bytes, overflow: options.overflow,
            stallMilliseconds: milliseconds, queueEventCount: options.queueEventCount,
            queueLength: options.queueLength, creditEvents: grantedEvents, creditBytes: grantedBytes)
    }

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
        confirmation?.resume(returning: result)
        confirmation = nil
        if arrivals.isEmpty, let waiting = next {
            next = nil
            waiting.resume(returning: result.map { nil })
        }
    }

    /// The application wants no more.
    func cancel() {
        guard !isEnding, ending == nil else { return }
        isEnding = true
        arrivals = []
        if let waiting = next {
            next = nil
            waiting.resume(returning: .success(nil))
        }
        core.subscribing.remove(self)
    }

    // MARK: Arrivals

    func deliver(_ batch: EventBatch, length: UInt64) {
        guard !isEnding else { return consumed(events: UInt64(batch.count), bytes: length) }
        if let handler {
            handler(.batch(batch))
            consumed(events: UInt64(batch.count), bytes: length)
        } else if let waiting = next {
            next = nil
            consumed(events: UInt64(batch.count), bytes: length)
            waiting.resume(returning: .success(.batch(batch)))
        } else {
            let events = UInt64(batch.count)
            arrivals.append(
                Waiting(arrival: .batch(batch), events: events, bytes: length, delivery: lastDelivery))
        }
    }

    func miss(_ missed: Missed) {
        guard !isEnding else { return }
        if let handler {
            handler(.missed(missed))
        } else if let waiting = next {
            next = nil
            waiting.resume(returning: .success(.missed(missed)))
        } else {
            arrivals.append(Waiting(arrival: .missed(missed)))
        }
    }

    /// The next arrival; nil at the end.
    func nextArrival(isolation: isolated (any Actor)? = #isolation) async throws(BusError) -> BatchArrival? {
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
        if let waiting = arrivals.popFirst() {
            consumed(events: waiting.events, bytes: waiting.bytes)
            return .success(waiting.arrival)
        }
        if let ending { return ending.map { nil } }
        return isEnding ? .success(nil) : nil
    }

    /// The task that waits was cancelled: its sequence ends there, the subscription goes on.
    private func giveUp(_ number: UInt64) {
        guard number == nextCount, let waiting = next else { return }
        next = nil
        waiting.resume(returning: .success(nil))
    }

    // MARK: Credit

    func noteDelivery(_ deliver: Deliver) { lastDelivery = deliver.delivery }

    /// The application has taken this much: the daemon may send as much more. Told when a quarter of the window is
    /// free, so that credit costs a frame a quarter window and not one a batch.
    func consumed(events: UInt64, bytes: UInt64) {
        consumedEvents += events
        consumedBytes += bytes
        let freeEvents = window(consumedEvents, options.creditEvents, heldEvents) - grantedEvents
        let freeBytes = window(consumedBytes, options.creditBytes, heldBytes) - grantedBytes
        if freeEvents * 4 >= options.creditEvents || freeBytes * 4 >= options.creditBytes { core.noteCreditDue() }
    }

    /// The running total that may be credited. Never below what was granted at the beginning of this connection,
    /// which is the same with nothing consumed.
    private func window(_ consumed: UInt64, _ credit: UInt64, _ held: UInt64) -> UInt64 {
        consumed + credit > held ? consumed + credit - held : 0
    }

    /// The frames that tell the daemon; nil when there is nothing worth telling.
    func takeCreditDue() -> (Frame, Frame?)? {
        let events = window(consumedEvents, options.creditEvents, heldEvents)
        let bytes = window(consumedBytes, options.creditBytes, heldBytes)
        guard
            events - grantedEvents >= (options.creditEvents + 3) / 4
                || bytes - grantedBytes >= (options.creditBytes + 3) / 4
        else { return nil }
        grantedEvents = events
        grantedBytes = bytes
        let credit = Frame.credit(Credit(subscription: number, events: events, bytes: bytes))
        // What still waits for the application was delivered last.
        let handled = arrivals.first { $0.delivery > 0 }.map { $0.delivery - 1 } ?? lastDelivery
        guard handled > acknowledged else { return (credit, nil) }
        acknowledged = handled
        return (credit, .acknowledge(Acknowledge(subscription: number, delivery: handled)))
    }

    // MARK: Positions

    /// Takes note of where a topic is, and after a reconnect tells what was missed of it.
    func noteSequences(topic: Topic, first: UInt64, count: UInt64) {
        if !untold.isEmpty { tellGap(topic, before: first) }
        notePosition(topic, first + count - 1)
    }

    func noteGap(topic: Topic, first: UInt64, last: UInt64) {
        if !untold.isEmpty { tellGap(topic, before: first) }
        notePosition(topic, last)
    }

    private func notePosition(_ topic: Topic, _ position: UInt64) {
        if recentTopic != topic {
            rememberRecent()
            recentTopic = topic
        }
        recentPosition = position
    }

    private func rememberRecent() {
        guard let topic = recentTopic else { return }
        if positions.count < SubscriptionState.positionsMax || positions[topic] != nil {
            positions[topic] = recentPosition
        }
        recentTopic = nil
    }

    /// The first word of a topic after the same daemon was reached again.
    private func tellGap(_ topic: Topic, before first: UInt64) {
        guard let known = untold.removeValue(forKey: topic), first > known + 1 else { return }
        miss(
            Missed(
                count: first - known - 1, topic: topic, firstSequence: known + 1, lastSequence: first - 1,
                reason: .reconnected))
    }

    // MARK: Connections come and go

    func connectionLost() {
        rememberRecent()
        consumedEvents = 0
        consumedBytes = 0
        lastDelivery = 0
        acknowledged = 0
        for index in arrivals.indices { arrivals[index].delivery = 0 }
        // It still fills the window, or every reconnect would let another window's worth in.
        heldEvents = arrivals.reduce(0) { $0 + $1.events }
        heldBytes = arrivals.reduce(0) { $0 + $1.bytes }
        grantedEvents = window(0, options.creditEvents, heldEvents)
        grantedBytes = window(0, options.creditBytes, heldBytes)
    }

    /// Says what can't be known. With the same daemon, topics heard of before will tell exactly, with their next event.
    func connectionRestored(sameDaemon: Bool) {
        if sameDaemon {
            untold.merge(positions) { _, newer in newer }
        } else {
            positions = [:]
            untold = [:]
        }
        let reason: Reason = sameDaemon ? .reconnected : .busRestarted
        miss(Missed(count: nil, topic: nil, firstSequence: 0, lastSequence: 0, reason: reason))
    }
}

extension Int64 {
    /// Seconds and attoseconds as milliseconds, within what the protocol can say.
    fileprivate func clampedMilliseconds(_ attoseconds: Int64) -> UInt32 {
        let (product, overflow) = multipliedReportingOverflow(by: 1000)
        guard !overflow else { return Limits.stallMillisecondsMax }
        let milliseconds = product + attoseconds / 1_000_000_000_000_000
        return UInt32(clamping: Swift.min(Swift.max(milliseconds, 0), Int64(Limits.stallMillisecondsMax)))
    }
}
