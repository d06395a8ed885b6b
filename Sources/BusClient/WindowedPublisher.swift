// A stream of events on one topic: gives up to a window of events away without waiting, then waits for receipts. What
// `publish` does one by one, this does for logs, metrics and bulk, with receipts as ranges.

import BusTransport
public import BusWire

/// Publishes many events on one topic.
///
/// Confined to its connection's executor, like everything it is used with: `publish` is then a plain call, without a
/// change of thread. Use it inside `BusConnection.run`; `Sendable` only to be carried there.
public final class WindowedPublisher: @unchecked Sendable {
    /// Totals of a windowed publisher.
    public struct Summary: Sendable, Equatable {
        /// Events with a receipt (or, without receipts asked for, past which the daemon has gone).
        public var confirmedCount: UInt64 = 0
        /// Events refused.
        public var refusedCount: UInt64 = 0
        /// Deliveries the receipts told of: events times matching subscriptions.
        public var matchCount: UInt64 = 0
        /// Position of the last confirmed event; 0 for none.
        public var lastSequence: UInt64 = 0
    }

    /// What the connection knows of it.
    final class Link {
        let topic: TopicPublisher
        var summary = Summary()
        var outstanding = 0
        var isPatient = true
        var failure: BusError?
        let waiters: Waiters
        var threshold = 0

        init(topic: TopicPublisher, on reactor: Reactor) {
            self.topic = topic
            waiters = Waiters(on: reactor)
        }

        /// So many events of one batch are done.
        func finished(_ count: Int, _ result: Result<Receipt?, BusError>) {
            outstanding -= count
            switch result {
            case .success(let receipt):
                summary.confirmedCount += UInt64(count)
                if let receipt {
                    summary.matchCount += UInt64(count) * (UInt64(receipt.liveMatches) + UInt64(receipt.durableMatches))
                    summary.lastSequence = receipt.firstSequence + UInt64(max(1, receipt.eventCount)) - 1
                }
            case .failure(let error):
                summary.refusedCount += UInt64(count)
                failure = failure ?? error
            }
            if outstanding <= threshold { waiters.resumeAll() }
        }
    }

    /// Whether it can wait some milliseconds for word of what it published. An impatient one keeps less to send again
    /// when the daemon is gone; the price is a wake-up each time.
    public var isPatient: Bool {
        get { link.isPatient }
        set { link.isPatient = newValue }
    }

    private let core: ClientCore
    private let link: Link
    private let window: Int
    private let traits: BatchTraits

    init(_ core: ClientCore, topic: Topic, window: Int, _ traits: BatchTraits) {
        self.core = core
        link = Link(topic: core.publishing.topic(topic), on: core.reactor)
        self.window = window
        self.traits = traits
    }

    /// Asks for the seal ahead of the first event.
    func prepare() { core.publishing.requestSeal(link.topic) }

    /// Totals so far.
    public var summary: Summary { link.summary }

    /// Whether another event may be given away now. Not while a full batch waits to leave: it leaves when
    /// `waitForRoom` lets the round end.
    public var hasRoom: Bool {
        link.outstanding < window && core.publishing.hasRoom && !core.publishing.isRoundFull
    }

    /// Gives an event away; it leaves with others at the end of the round, or when the daemon is ready for it.
    ///
    /// - Precondition: `hasRoom`, or a moment's patience: the window may be overdrawn, memory grows by that.
    /// - Throws: `BusError.tooLarge` for what no batch can carry, and the first refusal of an earlier event.
    public func publish(
        _ payload: UnsafeRawBufferPointer, headers: [EventHeader] = [], correlation: BusUUID? = nil
    ) throws(BusError) {
        if let failure = link.failure { throw failure }
        try core.check(payloadLength: payload.count, headers)
        try link.topic.check(payloadLength: payload.count)
        link.outstanding += 1
        _ = core.publishing.gather(
            payload, on: link.topic, headers: headers, marks: EventMarks(correlation: correlation, traits: traits),
            for: link)
    }

    /// Gives an event away, as the other `publish`.
    public func publish(
        _ payload: [UInt8], headers: [EventHeader] = [], correlation: BusUUID? = nil
    ) throws(BusError) {
        let result = payload.withUnsafeBytes { bytes -> Result<Void, BusError> in
            do throws(BusError) {
                return .success(try publish(bytes, headers: headers, correlation: correlation))
            } catch {
                return .failure(error)
            }
        }
        try result.get()
    }

    /// Gives a text away, as the other `publish`.
    public func publish(
        _ text: String, headers: [EventHeader] = [], correlation: BusUUID? = nil
    ) throws(BusError) {
        try publish(Array(text.utf8), headers: headers, correlation: correlation)
    }

    /// Gives an event away with all that it brings, as the other `publish`. Whether it retains, and whether its topic
    /// must be durable, this publisher may say for all; an event may say it for itself.
    public func publish(_ event: OutgoingEvent) throws(BusError) {
        if let failure = link.failure { throw failure }
        try core.check(event)
        try link.topic.check(payloadLength: event.payload.count)
        link.outstanding += 1
        var marks = core.publishing.marks(event, on: link.topic)
        marks.traits.formUnion(traits)
        _ = core.publishing.gather(event, on: link.topic, marks, for: link)
    }

    /// Ends the batch that gathers, so that what comes next begins another, and lets it leave.
    public func flush() async {
        core.publishing.close(link.topic)
        await core.nextRound()
    }

    /// Lets what was given away leave, and waits until there is room: until the window, once full, is half empty,
    /// so that it is filled again in one go.
    ///
    /// - Throws: the first refusal, why the connection ended, `.cancelled`.
    public func waitForRoom() async throws(BusError) {
        if core.publishing.isRoundFull { await core.nextRound() }
        if link.outstanding >= window { await wait(downTo: window / 2) }
        await core.publishing.waitForRoom()
        if let failure = link.failure ?? core.failure { throw failure }
        if Task.isCancelled { throw .cancelled }
    }

    /// Waits until everything given away is confirmed, and returns the totals.
    ///
    /// - Throws: the first refusal, `.cancelled`; `summary` has the totals then.
    public func finish() async throws(BusError) -> Summary {
        await wait(downTo: 0)
        if let failure = link.failure { throw failure }
        guard link.outstanding == 0 else { throw .cancelled }
        return link.summary
    }

    private func wait(downTo threshold: Int) async {
        await link.waiters.wait {
            guard link.outstanding > threshold, core.failure == nil else { return true }
            link.threshold = threshold
            core.publishing.askForProgress()
            return false
        }
    }
}
