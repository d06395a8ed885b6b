// A bus with durable topics, and what tests of it say often.

package import BusClient
package import BusTestKit
package import BusWire
package import Testing

extension TestBus {
    /// A bus whose topics below `jobs` are durable, and whose subscriptions try again within milliseconds.
    ///
    /// - Parameter more: further lines of the configuration.
    package static func durable(_ more: String = "", state: String? = nil) throws -> TestBus {
        let configuration = """
            topics: {'jobs.>': {kind: durable}}
            subscriptions: {backoff-min: 1ms, backoff-max: 5ms}

            """
        return try TestBus(configuration: configuration + more, state: state)
    }
}

extension SubscribeOptions {
    /// To take part in a durable subscription.
    package static func durable(
        _ name: String = "workers", _ change: (inout DurableOptions) -> Void = { _ in }
    ) -> SubscribeOptions {
        var (options, durable) = (SubscribeOptions(), DurableOptions(name: name))
        change(&durable)
        options.durable = durable
        return options
    }

    /// To read what is stored first.
    package static func reading(from start: Start) -> SubscribeOptions {
        var options = SubscribeOptions()
        options.start = start
        return options
    }
}

/// Takes what a subscription brings. A wait that never ends is ended by the suite's time limit.
package struct Taking {
    private var arrivals: Subscription.Iterator

    package init(_ subscription: Subscription) { arrivals = subscription.makeAsyncIterator() }

    /// The next arrival; a closed sequence is an error.
    package mutating func next() async throws -> Arrival {
        guard let arrival = try await arrivals.next() else { throw BusError.closed }
        return arrival
    }

    /// The next event. Markers are passed over, gaps are not.
    package mutating func event(location: SourceLocation = #_sourceLocation) async throws -> Event {
        while true {
            switch try await next() {
            case .event(let event): return event
            case .caughtUp: continue
            case .missed(let missed):
                Issue.record("\(missed) where an event was expected", sourceLocation: location)
                throw BusError.closed
            }
        }
    }

    /// So many events.
    package mutating func events(_ count: Int, location: SourceLocation = #_sourceLocation) async throws -> [Event] {
        var events: [Event] = []
        while events.count < count { events.append(try await event(location: location)) }
        return events
    }

    /// The texts of so many events.
    package mutating func texts(_ count: Int, location: SourceLocation = #_sourceLocation) async throws -> [String] {
        try await events(count, location: location).map(\.text)
    }

    /// What comes before the marker, and what the marker counts.
    package mutating func untilCaughtUp() async throws -> (events: [Event], count: UInt64) {
        var events: [Event] = []
        while true {
            switch try await next() {
            case .event(let event): events.append(event)
            case .caughtUp(let count): return (events, count)
            case .missed(let missed):
                Issue.record("\(missed) before the marker")
                throw BusError.closed
            }
        }
    }
}

extension BusConnection {
    /// Publishes texts, each by itself, and waits for the last receipt.
    @discardableResult
    package func publish(texts: [String], to topic: String) async throws -> PublishReceipt? {
        var last: PublishReceipt?
        for text in texts { last = try await publish(text, to: topic) }
        return last
    }

    /// The one row of a listing about `key`, as a dictionary of texts.
    package func row(_ kind: InspectionKind, _ key: String) async throws -> [String: String] {
        try await rows(kind, key).first ?? [:]
    }

    /// The rows of a listing, each as a dictionary of texts.
    package func rows(_ kind: InspectionKind, _ key: String = "") async throws -> [[String: String]] {
        try await inspect(kind, key: key).map { row in
            Dictionary(row.map { ($0.name, "\($0.value.text)") }) { first, _ in first }
        }
    }
}

extension InspectedValue.Value {
    fileprivate var text: String {
        switch self {
        case .number(let number): "\(number)"
        case .text(let text): text
        }
    }
}

/// The reason of a refusal, and what it says; nil for another error.
package func refusal(_ error: any Error) -> (reason: Reason, message: String)? {
    guard case BusError.refused(let reason, let message)? = error as? BusError else { return nil }
    return (reason, message)
}

/// Expects a refusal with this reason that names something.
package func expectRefusal(
    _ reason: Reason, naming words: String..., location: SourceLocation = #_sourceLocation,
    _ body: () async throws -> Void
) async {
    do {
        try await body()
        Issue.record("nothing was refused", sourceLocation: location)
    } catch {
        guard let refusal = refusal(error) else {
            Issue.record("another error: \(error)", sourceLocation: location)
            return
        }
        #expect(refusal.reason == reason, "\(refusal.message)", sourceLocation: location)
        for word in words {
            #expect(refusal.message.contains(word), "\(refusal.message)", sourceLocation: location)
        }
    }
}
