// Durable topics on the bench: a broker with a store in memory, and what peers say of durable subscriptions in short calls.

import BusSimulation
import BusWire

@testable import BusBroker

extension Bench {
    /// A broker with a store, and everything below `d` durable.
    static func durable(
        settings: [Setting] = [], _ change: @escaping (inout BrokerConfiguration) -> Void = { _ in }
    ) -> Bench {
        Bench(store: MemoryStore(incarnation: BusUUID(high: 7, low: 9))) {
            $0.topics = [declaration("d.>", settings)]
            change(&$0)
        }
    }

    /// A declaration as an administrator writes it.
    static func declaration(_ filter: String, _ settings: [Setting]) -> TopicDeclaration {
        guard let filter = try? TopicFilter(filter), let made = try? TopicDeclaration(filter, settings: settings) else {
            preconditionFailure("tests name filters and settings that are some")
        }
        return made
    }

    /// The daemon ends without a word and another one begins on what was committed, of the same configuration.
    func crashed(as configuration: BrokerConfiguration? = nil) -> Bench {
        isAudited = false
        var left = store
        left?.crash()
        let kept = configuration ?? broker.configuration
        let next = Bench(store: left) { $0 = kept }
        next.pass(milliseconds: (now.monotonic - next.now.monotonic) / 1_000_000)
        return next
    }

    /// The durable subscription of this name.
    func durable(_ name: String) -> Subscription? {
        (try? GroupName(name)).flatMap { broker.storage?.subscriptions[$0] }
    }

    /// Where it would begin again.
    func cursor(_ name: String) -> StoredCursor? {
        broker.storage.flatMap { durable(name)?.cursor(committed: $0.committed) }
    }
}

extension Peer {
    @discardableResult
    func attend(
        _ name: String, _ filter: String = "", as number: UInt32 = 1, credit: UInt64 = 1000, mode: SubscribeMode = [],
        start: Start? = nil, settings: [Setting] = []
    ) -> [Effect] {
        send(
            .subscribe(
                Subscribe(
                    subscription: number, filter: Array(filter.utf8), creditEvents: credit, creditBytes: 1 << 30,
                    mode: mode, durableName: Array(name.utf8), start: start, settings: settings)))
    }

    @discardableResult
    func settle(
        _ settlement: Settlement, _ delivery: UInt64, of number: UInt32 = 1, events: [Int] = [], delay: UInt32 = 0,
        because message: String = ""
    ) -> [Effect] {
        var bits: [UInt8] = events.isEmpty ? [] : [UInt8](repeating: 0, count: (events.max() ?? 0) / 8 + 1)
        for event in events { bits[event / 8] |= 1 << UInt8(event % 8) }
        return send(
            .settle(
                Settle(
                    settlement, subscription: number, delivery: delivery, delayMilliseconds: delay,
                    selection: SharedBytes(bits), message: message)))
    }

    @discardableResult
    func administer(
        _ operation: BusWire.Operation, _ key: String = "", filter: String = "", mode: SubscribeMode = [],
        start: Start? = nil, settings: [Setting] = []
    ) -> [Effect] {
        send(
            .administer(
                Administer(
                    request: 5, operation, key: key, filter: Array(filter.utf8), mode: mode, start: start,
                    settings: settings)))
    }
}

extension [Effect] {
    var administered: [Administered] {
        compactMap { if case .send(_, .administered(let answer)) = $0 { answer } else { nil } }
    }

    /// What the store was told.
    var writes: [StoreWrite] { compactMap { if case .store(_, let write) = $0 { write } else { nil } } }

    var reads: [StoreRead] { compactMap { if case .read(let read) = $0 { read } else { nil } } }

    var deadLetters: [StoredDeadLetter] {
        writes.compactMap { if case .deadLetter(let letter) = $0 { letter } else { nil } }
    }

    /// Receipts, one by one.
    var receipted: [Receipt] { receipts.flatMap(\.receipts) }
}
