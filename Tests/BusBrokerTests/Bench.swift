// A broker on a bench: inputs by short calls, effects as frames, time by hand. One call is one round unless a test
// says otherwise.

import BusSimulation
import BusWire

@testable import BusBroker

/// A broker, its clock and what it did last.
final class Bench {
    var broker: Broker
    var now = Moment(monotonic: 1_000_000_000, wall: 1_700_000_000_000_000)
    private var nextSalt: UInt64 = 1

    init(_ change: (inout BrokerConfiguration) -> Void = { _ in }) {
        var configuration = BrokerConfiguration()
        configuration.admittedUIDs = [0, 1000, 1001]
        change(&configuration)
        broker = Broker(configuration: configuration, incarnation: BusUUID(high: 1, low: 2), firstSeal: 1)
    }

    /// Handles inputs as one round; seals are derived at once.
    @discardableResult
    func round(_ inputs: Input...) -> [Effect] {
        for input in inputs { broker.handle(input, at: now) }
        broker.endRound(at: now)
        return drain()
    }

    /// Takes what the broker wants done.
    func drain() -> [Effect] {
        var effects: [Effect] = []
        while let effect = broker.nextEffect() {
            effects.append(effect)
            if case .openSeal(let order) = effect {
                let keyCheck = [UInt8](repeating: 0xcc, count: 16)
                broker.handle(.sealDerived(seal: order.seal, session: order.session, keyCheck: keyCheck), at: now)
            }
        }
        return effects
    }

    /// Lets time pass.
    @discardableResult
    func pass(milliseconds: UInt64) -> [Effect] {
        now.monotonic += milliseconds * 1_000_000
        now.wall += Int64(milliseconds) * 1000
        return round()
    }

    /// A session that has said hello.
    func open(_ id: UInt64, uid: UInt32 = 1000) -> Peer {
        let peer = PeerIdentity(uid: uid, gid: uid)
        round(.connected(SessionID(id), peer), .authenticated(SessionID(id), name: "p\(id)"))
        return Peer(self, SessionID(id))
    }

    func salt() -> [UInt8] {
        nextSalt += 1
        return withUnsafeBytes(of: nextSalt.littleEndian) { Array($0) } + [UInt8](repeating: 0, count: 24)
    }

    func account(_ uid: UInt32 = 1000) -> Account? { broker.accounts[uid] }
}

/// One peer on the bench.
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
        bench.broker.endRound(at: bench.now)
        return bench.drain()
    }

    /// Opens a seal and returns its number, 0 if that failed.
    func seal(_ topic: String) -> UInt64 {
        let effects = send(.openSeal(OpenSeal(request: 1, salt: bench.salt(), topic: Array(topic.utf8))))
        for case .openSeal(let order) in effects { return order.seal }
        return 0
    }

    /// The next publish of a seal, as a frame.
    func batch(
        _ seal: UInt64, events: UInt32 = 1, payload: Int = 0, receipt: Bool = true,
        _ change: (inout SampleBatch) -> Void = { _ in }
    ) -> Frame {
        let counter = counters[seal, default: 0]
        var batch = SampleBatch(seal: seal, counter: counter, eventCount: events, payloadLength: payload)
        change(&batch)
        counters[seal] = counter + 1
        defer { nextPublish += 1 }
        return .publish(Publish(number: nextPublish, wantsReceipt: receipt, batch: batch.bytes))
    }

    @discardableResult
    func publish(_ seal: UInt64, events: UInt32 = 1, payload: Int = 0, receipt: Bool = true) -> [Effect] {
        send(batch(seal, events: events, payload: payload, receipt: receipt))
    }

    @discardableResult
    func subscribe(
        _ number: UInt32, _ filter: String, credit: UInt64 = 1000, bytes: UInt64 = 1 << 30, queue: UInt32 = 0,
        stall milliseconds: UInt32? = nil
    ) -> [Effect] {
        send(
            .subscribe(
                Subscribe(
                    subscription: number, filter: Array(filter.utf8),
                    overflow: milliseconds == nil ? .dropOldest : .stall, stallMilliseconds: milliseconds ?? 0,
                    queueEventCount: queue, creditEvents: credit, creditBytes: bytes)))
    }

    @discardableResult
    func credit(_ number: UInt32, _ events: UInt64, bytes: UInt64 = 1 << 30) -> [Effect] {
        send(.credit(Credit(subscription: number, events: events, bytes: bytes)))
    }

    @discardableResult
    func drained() -> [Effect] { bench.round(.drained(id)) }
    @discardableResult
    func blocked() -> [Effect] { bench.round(.blocked(id)) }
    @discardableResult
    func leave() -> [Effect] { bench.round(.disconnected(id)) }
}

extension [Effect] {
    /// The frames sent to a peer.
    func frames(to peer: Peer) -> [Frame] {
        compactMap { if case .send(peer.id, let frame) = $0 { frame } else { nil } }
    }

    var deliveries: [Deliver] {
        compactMap { if case .send(_, .deliver(let deliver)) = $0 { deliver } else { nil } }
    }

    var gaps: [Gap] { compactMap { if case .send(_, .gap(let gap)) = $0 { gap } else { nil } } }
    var errors: [ErrorFrame] { compactMap { if case .send(_, .error(let error)) = $0 { error } else { nil } } }
    var receipts: [Receipts] { compactMap { if case .send(_, .receipts(let told)) = $0 { told } else { nil } } }

    var announcements: [Announcement] {
        compactMap { if case .send(_, .announce(let announcement)) = $0 { announcement } else { nil } }
    }

    var grants: [Topic] { compactMap { if case .grant(_, let topic, _) = $0 { topic } else { nil } } }
    var closes: [Reason] { compactMap { if case .close(_, let reason, _) = $0 { reason } else { nil } } }
    var stops: Int { count { if case .stopped = $0 { true } else { false } } }

    /// What each effect is, to compare their order.
    var kinds: [String] {
        map { effect in
            switch effect {
            case .send(_, let frame): frame.type.name
            case .openSeal: "openSeal"
            case .grant: "granting"
            case .close: "close"
            case .stopped: "stopped"
            }
        }
    }
}
