// One peer on the bench: what it sends, in short calls. Publish numbers and counters count by themselves.

import BusSimulation
import BusWire

@testable import BusBroker

final class Peer {
    let bench: Bench
    let id: SessionID
    private var nextPublish: UInt64 = 1
    private var counters: [UInt64: UInt64] = [:]

    init(_ bench: Bench, _ id: SessionID) {
        self.bench = bench
        self.id = id
    }

    var session: Session? { bench.broker.sessions[id] }

    @discardableResult
    func send(_ frames: Frame...) -> [Effect] {
        for frame in frames { bench.broker.handle(.received(id, frame), at: bench.now) }
        bench.endRound()
        return bench.drain()
    }

    // MARK: Publishing

    /// Opens a seal and returns its number, 0 if that failed.
    func seal(_ topic: String) -> UInt64 {
        for case .openSeal(let order) in openSeal(topic) { return order.seal }
        return 0
    }

    @discardableResult
    func openSeal(_ topic: String) -> [Effect] {
        send(.openSeal(OpenSeal(request: 1, salt: bench.salt(), topic: Array(topic.utf8))))
    }

    /// The next publish of a seal, as a frame.
    func batch(
        _ seal: UInt64, events: UInt32 = 1, payload: Int = 0, receipt: Bool = true, columns: BatchColumns? = nil,
        _ change: (inout SampleBatch) -> Void = { _ in }
    ) -> Frame {
        let bytes = sealed(seal, events: events, payload: payload, columns: columns, change)
        defer { nextPublish += 1 }
        return .publish(Publish(number: nextPublish, wantsReceipt: receipt, batch: bytes))
    }

    func sealed(
        _ seal: UInt64, events: UInt32, payload: Int, columns: BatchColumns? = nil,
        _ change: (inout SampleBatch) -> Void = { _ in }
    ) -> SharedBytes {
        let counter = counters[seal, default: 0]
        var batch = SampleBatch(seal: seal, counter: counter, eventCount: events, payloadLength: payload)
        if let columns { batch.columns = columns }
        change(&batch)
        counters[seal] = counter + 1
        return batch.bytes
    }

    @discardableResult
    func publish(_ seal: UInt64, events: UInt32 = 1, payload: Int = 0, receipt: Bool = true) -> [Effect] {
        send(batch(seal, events: events, payload: payload, receipt: receipt))
    }

    /// Publishes what becomes the last value; with nothing in it, what clears it.
    @discardableResult
    func retain(_ seal: UInt64, events: UInt32 = 1, payload: Int = 10, clears: Bool = false) -> [Effect] {
        send(
            batch(seal, events: events, payload: payload).with {
                $0.retains = true
                $0.isTombstone = clears
            })
    }

    /// A will of one event, or what takes it back.
    @discardableResult
    func setWill(
        _ seal: UInt64?, payload: Int = 10, retains: Bool = false, clears: Bool = false, events: UInt32 = 1
    ) -> [Effect] {
        let batch = seal.map { sealed($0, events: events, payload: payload) } ?? .empty
        return send(.will(Will(request: 9, retains: retains, isTombstone: clears, batch: batch)))
    }

    // MARK: Asking and answering

    var replyTopic: Topic { Topic.reply(ofSession: id.rawValue) }

    /// A batch of requests, one for each correlation, as a frame.
    func request(_ seal: UInt64, _ correlations: BusUUID..., payload: Int = 0, replyTo: String? = nil) -> Frame {
        var columns = BatchColumns()
        columns.correlation = .each(correlations)
        columns.replyTo = .all(replyTo.map { Array($0.utf8) } ?? replyTopic.bytes)
        let count = UInt32(correlations.count)
        return batch(seal, events: count, payload: payload, columns: columns).with { $0.isRequest = true }
    }

    /// A batch of answers, one for each correlation, as a frame.
    func answer(_ seal: UInt64, _ correlations: BusUUID..., more: Bool = false) -> Frame {
        var columns = BatchColumns()
        columns.correlation = .each(correlations)
        return batch(seal, events: UInt32(correlations.count), columns: columns).with { $0.hasMore = more }
    }

    // MARK: Subscribing

    @discardableResult
    func subscribe(
        _ number: UInt32, _ filter: String, credit: UInt64 = 1000, bytes: UInt64 = 1 << 30, queue: UInt32 = 0,
        stall milliseconds: UInt32? = nil, _ policy: OverflowPolicy? = nil, group: String = "",
        mode: SubscribeMode = []
    ) -> [Effect] {
        send(
            .subscribe(
                Subscribe(
                    subscription: number, filter: Array(filter.utf8),
                    overflow: policy ?? (milliseconds == nil ? .dropOldest : .stall),
                    stallMilliseconds: milliseconds ?? 0, queueEventCount: queue, creditEvents: credit,
                    creditBytes: bytes, group: Array(group.utf8), mode: mode)))
    }

    @discardableResult
    func unsubscribe(_ number: UInt32) -> [Effect] { send(.unsubscribe(subscription: number)) }

    @discardableResult
    func credit(_ number: UInt32, _ events: UInt64, bytes: UInt64 = 1 << 30) -> [Effect] {
        send(.credit(Credit(subscription: number, events: events, bytes: bytes)))
    }

    @discardableResult
    func acknowledge(_ number: UInt32, _ delivery: UInt64) -> [Effect] {
        send(.acknowledge(Acknowledge(subscription: number, delivery: delivery)))
    }

    func subscription(_ number: UInt32) -> Subscription? { session?.consumers[number]?.subscription }

    @discardableResult
    func drained() -> [Effect] { bench.round(.drained(id)) }
    @discardableResult
    func blocked() -> [Effect] { bench.round(.blocked(id)) }
    @discardableResult
    func leave() -> [Effect] { bench.round(.disconnected(id)) }
}

extension Frame {
    /// A publish with other flags; any other frame as it is.
    func with(_ change: (inout Publish) -> Void) -> Frame {
        guard case .publish(var publish) = self else { return self }
        change(&publish)
        return .publish(publish)
    }
}
