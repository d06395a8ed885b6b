// Ordering keys: one member at a time has events of a key, in their order; what must wait for that keeps nobody else
// waiting. First groups that live, then what is stored.

import BusSimulation
import BusWire
import Testing

@testable import BusBroker

extension Peer {
    /// Publishes events of these keys in one batch; 0 is none.
    @discardableResult
    func publish(_ seal: UInt64, keys: [UInt64], payload: Int = 0) -> [Effect] {
        send(keyed(seal, keys, payload: payload))
    }

    func keyed(_ seal: UInt64, _ keys: [UInt64], payload: Int = 0) -> Frame {
        var columns = BatchColumns()
        columns.orderingKey = .shortest(keys, absent: 0)
        return batch(seal, events: UInt32(keys.count), payload: payload, columns: columns)
    }
}

@Suite struct KeyedGroupTests {
    private let bench = Bench()

    private func group(
        _ count: UInt64, credit: UInt64 = 1000, queue: UInt32 = 0, _ policy: OverflowPolicy? = nil
    ) -> (publisher: Peer, seal: UInt64, members: [Peer]) {
        let members = (1...count).map { bench.open($0) }
        for member in members { member.subscribe(1, "a", credit: credit, queue: queue, policy, group: "g") }
        let publisher = bench.open(99)
        return (publisher, publisher.seal("a"), members)
    }

    /// Who of them was delivered something, by place.
    private func receivers(_ effects: [Effect], _ members: [Peer]) -> [Int] {
        members.indices.filter { !effects.to(members[$0]).deliveries.isEmpty }
    }

    @Test func `later events of a key go to the member that has earlier ones, until it has acknowledged them`() {
        let (publisher, seal, members) = group(3)
        let first = receivers(publisher.publish(seal, keys: [7]), members)
        for _ in 0..<5 { #expect(receivers(publisher.publish(seal, keys: [7]), members) == first) }
        members[first[0]].acknowledge(1, 6)
        #expect(bench.broker.groups.values.first?.group?.keys?.count == 0)
        // Nobody has it now; who has least to do is next.
        publisher.publish(seal, keys: [0, 0, 0])
        publisher.publish(seal, keys: [7])
        #expect(bench.broker.groups.values.first?.group?.keys?.heldKeyCount == 1)
    }

    @Test func `a key's events in one batch stay together, and others are shared around them`() {
        let (publisher, seal, members) = group(2)
        let effects = publisher.publish(seal, keys: [7, 0, 7, 0, 7, 8, 0, 8, 7])
        let with7 = members.filter { !Set(effects.to($0).deliveries.sequences).isDisjoint(with: [1, 3, 5, 9]) }
        #expect(with7.count == 1)
        let with8 = members.filter { !Set(effects.to($0).deliveries.sequences).isDisjoint(with: [6, 8]) }
        #expect(with8.count == 1)
        #expect(effects.deliveries.sequences.sorted() == Array(1...9))
        #expect(members.allSatisfy { !effects.to($0).deliveries.isEmpty })
    }

    @Test func `the same number on another topic is another key`() {
        let members = [bench.open(1), bench.open(2)]
        for member in members { member.subscribe(1, "*", group: "g") }
        let publisher = bench.open(99)
        let (one, other) = (publisher.seal("a"), publisher.seal("b"))
        let first = receivers(publisher.publish(one, keys: [7]), members)
        #expect(receivers(publisher.publish(other, keys: [7]), members) != first)
    }

    @Test func `a key whose member takes nothing keeps neither other keys nor events without one waiting`() {
        let (publisher, seal, members) = group(2, credit: 1)
        #expect(receivers(publisher.publish(seal, keys: [7]), members).count == 1)
        let holder = members[members.firstIndex { $0.session?.consumers[1]?.outstanding == 1 } ?? 0]
        let other = members.first { $0 !== holder } ?? holder
        other.credit(1, 100)
        // 2 waits for the first's member; 3 to 5 go past it, 6 stands behind 2.
        #expect(publisher.publish(seal, keys: [7]).deliveries.isEmpty)
        #expect(publisher.publish(seal, keys: [8, 0, 8, 7]).to(other).deliveries.sequences == [3, 4, 5])
        #expect(publisher.publish(seal, keys: [0]).to(other).deliveries.sequences == [7])
        let effects = holder.credit(1, 100)
        #expect(effects.to(holder).deliveries.sequences == [2, 6])
        #expect(effects.to(other).deliveries.isEmpty)
    }

    @Test func `what waits for a key goes to anybody when its member has acknowledged`() {
        let (publisher, seal, members) = group(2, credit: 1)
        publisher.publish(seal, keys: [7])
        let holder = members[members.firstIndex { $0.session?.consumers[1]?.outstanding == 1 } ?? 0]
        let other = members.first { $0 !== holder } ?? holder
        other.credit(1, 100)
        #expect(publisher.publish(seal, keys: [7, 7]).deliveries.isEmpty)
        let effects = holder.acknowledge(1, 1)
        #expect(effects.to(other).deliveries.sequences == [2, 3])
        #expect(effects.to(other).deliveries.map(\.attempt) == [1])
    }

    @Test func `a member that goes leaves its keys to the others, each key to one of them and in order`() {
        let (publisher, seal, members) = group(3)
        for keys: [UInt64] in [[7, 8, 9], [7, 8, 9], [7, 8, 9], [0, 0, 0]] { publisher.publish(seal, keys: keys) }
        let gone = members[0]
        let held = Set(gone.session?.consumers[1]?.holding?.portions.flatMap(\.portion.sequences) ?? [])
        #expect(!held.isEmpty)
        let effects = gone.leave()
        var order: [UInt64: [UInt64]] = [:]
        for member in members.dropFirst() {
            let sequences = effects.to(member).deliveries.sequences
            for sequence in sequences where sequence < 10 { order[sequence % 3, default: []].append(sequence) }
        }
        for sequences in order.values { #expect(sequences == sequences.sorted()) }
        #expect(order.values.reduce(0) { $0 + $1.count } == held.count { $0 < 10 })
    }

    @Test func `what a member leaves goes before what waited for it`() {
        let (publisher, seal, members) = group(2, credit: 2)
        publisher.publish(seal, keys: [7, 7])
        let holder = members[members.firstIndex { $0.session?.consumers[1]?.outstanding == 2 } ?? 0]
        let other = members.first { $0 !== holder } ?? holder
        publisher.publish(seal, keys: [7, 7])
        other.credit(1, 100)
        let effects = holder.leave()
        #expect(effects.to(other).deliveries.sequences == [1, 2, 3, 4])
        #expect(effects.to(other).deliveries.map(\.attempt) == [2, 1])
    }

    @Test func `one looks only so far ahead: then the front waits, and what is lost is lost behind it`() {
        let (publisher, seal, members) = group(2, credit: 1, queue: 8)
        publisher.publish(seal, keys: [7])
        let holder = members[members.firstIndex { $0.session?.consumers[1]?.outstanding == 1 } ?? 0]
        let other = members.first { $0 !== holder } ?? holder
        other.credit(1, 100)
        // Half of the queue's eight may wait beside it.
        for _ in 0..<6 { publisher.publish(seal, keys: [7]) }
        let keys = bench.broker.groups.values.first?.group?.keys
        #expect(keys?.waitingCount == 4)
        #expect(publisher.publish(seal, keys: [0]).deliveries.isEmpty, "it stands behind what stays in the queue")
        for _ in 0..<6 { publisher.publish(seal, keys: [0]) }
        let effects = holder.credit(1, 100)
        #expect(effects.gaps.map(\.count) == [1])
        #expect(effects.to(holder).deliveries.sequences.filter { $0 < 8 } == [2, 3, 4, 5, 7])
    }

    @Test func `what waits beside the queue is charged, and moves and goes with its group`() {
        let (publisher, seal, members) = group(1, credit: 1)
        let stranger = bench.open(50, uid: 1001)
        stranger.subscribe(1, "a", credit: 100, group: "g")
        publisher.publish(seal, keys: [7], payload: 1000)
        let holder = members[0].session?.consumers[1]?.outstanding == 1 ? members[0] : stranger
        guard holder === members[0] else { return }
        for _ in 0..<3 { publisher.publish(seal, keys: [7], payload: 1000) }
        #expect(bench.account()?.queued.used ?? 0 > 3000)
        bench.broker.handle(.disconnected(holder.id), at: bench.now)
        #expect(bench.account()?.queued.used == 0, "it is charged to who goes on")
        bench.endRound()
        #expect(bench.drain().to(stranger).deliveries.sequences == [1, 2, 3, 4])
    }

    @Test func `where the user's quota is used up what waits for its key is lost last, the oldest first, and told`() {
        let bench = Bench { $0.quotas.queuedLength = 4000 }
        let members = [bench.open(1), bench.open(2)]
        for member in members { member.subscribe(1, "a", credit: 1, group: "g") }
        let publisher = bench.open(99)
        let seal = publisher.seal("a")
        publisher.publish(seal, keys: [7])
        let holder = members[members.firstIndex { $0.session?.consumers[1]?.outstanding == 1 } ?? 0]
        var effects: [Effect] = []
        for _ in 0..<5 { effects += publisher.publish(seal, keys: [7], payload: 1000) }
        #expect(bench.account()?.queued.used ?? 0 <= 4000)
        effects += holder.credit(1, 100)
        let lost = effects.gaps.reduce(0) { $0 + ($1.count ?? 0) }
        #expect(lost > 0 && lost < 5)
        #expect(effects.to(holder).deliveries.sequences == Array((2 + lost)...6))
    }

    @Test func `a group of which all waits for keys pays before who has little waiting`() {
        let bench = Bench { $0.quotas.queuedLength = 4000 }
        let members = [bench.open(1), bench.open(2)]
        for member in members { member.subscribe(1, "a", credit: 1, group: "g") }
        let (publisher, small) = (bench.open(99), bench.open(3))
        let (seal, other) = (publisher.seal("a"), publisher.seal("b"))
        small.subscribe(1, "b", credit: 0)
        publisher.publish(seal, keys: [7])
        let holder = members[members.firstIndex { $0.session?.consumers[1]?.outstanding == 1 } ?? 0]
        let idle = members.first { $0 !== holder } ?? holder
        idle.credit(1, 100)
        for _ in 0..<3 { publisher.publish(seal, keys: [7], payload: 1000) }
        #expect(holder.subscription(1)?.hasQueued == false && holder.subscription(1)?.hasWaiting == true)
        for _ in 0..<4 { publisher.publish(other, payload: 250) }
        #expect(small.credit(1, 100).to(small).deliveries.sequences == [1, 2, 3, 4])
        #expect(holder.credit(1, 100).gaps.reduce(0) { $0 + ($1.count ?? 0) } > 0)
    }

    @Test func `who would rather end than miss something ends with what waits for its key`() {
        let (publisher, seal, members) = group(2, credit: 1, queue: 2, .disconnect)
        var endings: [Unsubscribed] = []
        for _ in 0..<6 { endings += publisher.publish(seal, keys: [7]).endings }
        #expect(endings.map(\.reason) == [.queueFull, .queueFull])
        #expect(members.allSatisfy { $0.session?.consumers.isEmpty == true })
        #expect(bench.account()?.queued.used == 0)
    }

    @Test func `members of one session, or one user, are handed no more than it may have`() {
        let bench = Bench { $0.roundCountMax = 1 }
        let peer = bench.open(1)
        for number: UInt32 in 1...2 { peer.subscribe(number, "a", group: "g") }
        let publisher = bench.open(99)
        let seal = publisher.seal("a")
        var sequences = publisher.publish(seal, keys: [7, 7, 8, 8]).deliveries.sequences
        #expect(!sequences.isEmpty && sequences.count < 4)
        sequences += peer.drained().deliveries.sequences
        #expect(sequences.sorted() == [1, 2, 3, 4])
    }

    @Test func `an exclusive group has no use for keys`() {
        let members = [bench.open(1), bench.open(2)]
        for member in members { member.subscribe(1, "a", group: "g", mode: .exclusive) }
        let publisher = bench.open(99)
        #expect(publisher.publish(publisher.seal("a"), keys: [7, 8]).to(members[0]).deliveries.sequences == [1, 2])
        #expect(bench.broker.groups.values.first?.group?.keys == nil)
    }

    @Test func `a group that nobody sends keys to keeps no table`() {
        let (publisher, seal, _) = group(2)
        publisher.publish(seal, events: 9)
        #expect(bench.broker.groups.values.first?.group?.keys == nil)
    }
}
