// How a subscription is asked for: the first time, and again after a reconnect.

import BusWire

extension SubscriptionState {
    /// The frame that asks for it.
    var request: Subscribe {
        let (seconds, fraction) = options.stallTime.components
        return Subscribe(
            subscription: number, filter: isNamedOnly ? [] : filter.bytes, overflow: options.overflow,
            stallMilliseconds: seconds.clampedMilliseconds(fraction), queueEventCount: options.queueEventCount,
            queueLength: options.queueLength, creditEvents: credit.grantedEvents, creditBytes: credit.grantedBytes,
            group: group, mode: mode, durableName: durableName, start: start,
            settings: leavesSettings ? [] : options.durable?.settings ?? [])
    }

    private var mode: SubscribeMode {
        var mode: SubscribeMode = []
        if options.isExclusive { mode.insert(.exclusive) }
        if options.beginsWithLast { mode.insert(.last) }
        if responds { mode.insert(.responds) }
        if let durable = options.durable {
            if durable.isExclusive { mode.insert(.exclusive) }
            if durable.isShared { mode.insert(.shared) }
            if durable.acknowledgement == .none { mode.insert(.unacknowledged) }
        }
        return mode
    }

    private var start: Start? {
        if let durable = options.durable { return exists ? nil : durable.start }
        guard options.start != .new else { return nil }
        // What was accepted in the same microsecond comes again, and is known by its sequence.
        return lastTime.map { .since($0) } ?? options.start
    }

    /// A durable one was refused since one of its name exists. That may be its own: made over the connection before,
    /// which was lost ahead of the daemon's word. Or it was altered since it was attended, and is attended as it is.
    /// Returns whether to ask again, without a beginning, and then without settings.
    func shouldAskAgain(_ reason: Reason) -> Bool {
        guard reason == .nameTaken, wasAskedBefore, let durable = options.durable else { return false }
        if !exists, durable.start != nil {
            exists = true
            return true
        }
        guard exists, !durable.settings.isEmpty, !leavesSettings else { return false }
        leavesSettings = true
        return true
    }
}

extension TopicFilter {
    /// All topics.
    static let everything: TopicFilter = {
        do { return try TopicFilter(">") } catch { preconditionFailure("a filter by the rules: \(error)") }
    }()
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
