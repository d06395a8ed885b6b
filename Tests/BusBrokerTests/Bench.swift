// A broker on a bench: inputs by short calls, effects as frames, time by hand. One call is one round unless a test
// says otherwise. After every round the broker's books must add up, and when the bench is put away everybody leaves
// and nothing may be held any more: a charge that isn't given back fails whichever test left it.

import BusSimulation
import BusWire
import Testing

@testable import BusBroker

/// A broker, its clock and what it did last.
final class Bench {
    var broker: Broker
    var now = Moment(monotonic: 1_000_000_000, wall: 1_700_000_000_000_000)
    /// Whether books are looked at; not where a test spoils them on purpose.
    var isAudited = true
    /// What is stored, where the bench has a store.
    var store: MemoryStore?
    /// Whether the daemon gets seals for its own topics.
    var hasOwnSeals = true
    /// What the daemon had to say, batch by batch.
    private(set) var advised: [[Advisory]] = []
    private var ownCounters: [UInt64: UInt64] = [:]
    private var nextSalt: UInt64 = 1

    /// - Parameter store: what the broker takes up.
    init(store: MemoryStore? = nil, _ change: (inout BrokerConfiguration) -> Void = { _ in }) {
        self.store = store
        var configuration = BrokerConfiguration()
        configuration.admittedUIDs = [0, 1000, 1001, 1002]
        configuration.announcesSessions = false
        change(&configuration)
        broker = Broker(
            configuration: configuration, incarnation: BusUUID(high: 1, low: 2),
            firstSeal: (store?.disk.seals.keys.max() ?? 0) + 1)
        if let store { broker.recover(store.state, at: now) }
    }

    deinit {
        guard isAudited else { return }
        for id in broker.sessions.keys.sorted(by: { $0.rawValue < $1.rawValue }) {
            broker.handle(.disconnected(id), at: now)
        }
        endRound()
        _ = drain()
        for fault in broker.audit() { Issue.record("when everybody had left: \(fault)") }
        if !broker.isIdle { Issue.record("everybody has left, and something is still held") }
    }

    /// Handles inputs as one round; seals are derived at once.
    @discardableResult
    func round(_ inputs: Input...) -> [Effect] {
        for input in inputs { broker.handle(input, at: now) }
        endRound()
        return drain()
    }

    /// Ends the round and looks whether everything adds up.
    func endRound() {
        broker.endRound(at: now)
        guard isAudited else { return }
        for fault in broker.audit() { Issue.record("\(fault)") }
    }

    /// Takes what the broker wants done, and does what it needs done to go on.
    func drain() -> [Effect] {
        var effects: [Effect] = []
        while let effect = broker.nextEffect() {
            effects.append(effect)
            if answer(effect) { endRound() }
        }
        return effects
    }

    /// Answers an effect that asks for a key; true where a round must follow.
    private func answer(_ effect: Effect) -> Bool {
        let keyCheck = [UInt8](repeating: 0xcc, count: 16)
        switch effect {
        case .openSeal(let order):
            broker.handle(.sealDerived(seal: order.seal, session: order.session, keyCheck: keyCheck), at: now)
            return false
        case .openOwnSeal(let seal, _, _):
            guard hasOwnSeals else {
                broker.handle(.ownSealFailed(seal: seal), at: now)
                return true
            }
            broker.handle(.ownSealOpened(seal: seal, salt: salt(), keyCheck: keyCheck), at: now)
            return true
        case .advise(let seal, let advisories):
            advised.append(advisories)
            let counter = ownCounters[seal, default: 0]
            ownCounters[seal] = counter + 1
            let batch = SampleBatch(seal: seal, counter: counter, eventCount: UInt32(advisories.count))
            broker.handle(.advised(seal: seal, batch: batch.bytes), at: now)
            return true
        case .send, .grant, .close, .closeOwnSeal, .stopped: return false
        case .store(let ticket, let write):
            store?.submit(ticket, write)
            return false
        case .read(let read):
            guard let page = store?.page(read) else { return false }
            broker.handle(.storeRead(page), at: now)
            return true
        case .readDue(let order):
            guard let page = store?.due(order) else { return false }
            broker.handle(.storeReadDue(page), at: now)
            return true
        case .seek(let order):
            guard let cursor = store?.cursor(order) else { return false }
            broker.handle(.storeFound(number: order.number, cursor), at: now)
            return true
        case .retain(let order):
            guard let kept = store?.kept(order) else { return false }
            broker.handle(.retained(topic: order.topic, before: kept.before, firstTime: kept.firstTime), at: now)
            return true
        case .administer(let id, let wish) where wish.operation == .cancelScheduled:
            let found = store?.disk.scheduled.values.filter { $0.id.description == wish.key } ?? []
            broker.handle(
                .administered(id, request: wish.request, .scheduled(found.sorted { $0.number < $1.number })), at: now)
            return true
        case .administer(let id, let wish):
            guard let store, let number = (try? GroupName(wish.key)).flatMap({ broker.durableNumber($0) }) else {
                return false
            }
            let letters = store.disk.deadLetters.values.filter { $0.subscription == number }
                .sorted { $0.number < $1.number }.map(FoundDeadLetter.init)
            let outcome: AdministrationOutcome = wish.operation == .redriveDead ? .redriven(letters) : .dropped(letters)
            broker.handle(.administered(id, request: wish.request, outcome), at: now)
            return true
        case .inspect, .tend: return false
        }
    }

    /// Has what waits for the disk be on it.
    @discardableResult
    func commit() -> [Effect] {
        var effects: [Effect] = []
        while let commit = store?.isDirty == true ? store?.commit() : nil {
            broker.handle(.stored(commit), at: now)
            effects += round()
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

    /// Frames of several peers in one round, in this order.
    @discardableResult
    func together(_ frames: (Peer, Frame)...) -> [Effect] {
        for (peer, frame) in frames { broker.handle(.received(peer.id, frame), at: now) }
        endRound()
        return drain()
    }

    func salt() -> [UInt8] {
        nextSalt += 1
        return withUnsafeBytes(of: nextSalt.littleEndian) { Array($0) } + [UInt8](repeating: 0, count: 24)
    }

    func account(_ uid: UInt32 = 1000) -> Account? { broker.accounts[uid] }
    func topic(_ name: String) -> TopicState? { (try? Topic(name)).flatMap { broker.topics[$0] } }
}

/// A small UUID to tell requests apart by.
func id(_ number: UInt64) -> BusUUID { BusUUID(high: 0xc0, low: number) }
