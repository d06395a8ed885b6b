// What differs between seeds of worlds with a store. As in `SimulationKnobs`, most leave out most things.

import BusBroker
import BusWire

/// What can happen in a world with a store.
enum DurableAction: CaseIterable {
    case publish, resend, connect, vanish, openSeal
    case attend, leave, read, credit
    case acknowledge, settleOne, retry, reject, extend
    case commit, commitSome, hear, answer
    case pass, passLong, block, drain
    case crash, stop, fill, clockStep
    case later, takeBack
    case purge, declare, undeclare, create, seek, end, redrive, drop
}

struct DurableKnobs {
    var configuration = BrokerConfiguration()
    /// Each action as often as its weight.
    var actions: [DurableAction] = []
    let users: [UInt32] = [1000, 1001]
    var topics = ["d.a", "d.b", "d.c.x", "d.c.y"]
    let filters = ["d.>", "d.a", "d.b", "d.c.*", "d.*", "e.>"]
    /// Names of durable subscriptions, which say what they are.
    var names: [String] = []
    /// Whether retention removes what somebody still has to get.
    var isHard = false
    var eventCountMax = 1
    var keyPercent = 0
    var creditMax = 1
    /// Whether somebody listens to what is told of dead letters.
    var listens = false
    var attemptCountMax: Int64 = 3
    var acknowledgeWait: Int64 = 2_000_000
    /// Bytes that the store takes when it is full.
    var storeLengthMax: UInt64 = 20_000

    init(_ chance: inout SplitMix64) {
        // What was given up on and what is removed aren't mixed: what a dead letter keeps is a store's affair.
        let removes = chance.chance(40)
        weigh(&chance, removes: removes)
        if !chance.chance(30) { topics = Array(topics.prefix(chance.within(1...3))) }
        if actions.contains(.declare) { topics.append("e.z") }
        names = Array(["alone", "shared", "exclusive", "free"].prefix(chance.within(1...4)))
        eventCountMax = chance.pick([1, 3, 12])
        keyPercent = chance.pick([0, 0, 50, 100])
        creditMax = chance.pick([1, 10, 1000])
        attemptCountMax = removes ? 1000 : chance.pick([1, 2, 3, 10])
        acknowledgeWait = chance.pick([1_000_000, 3_000_000, 30_000_000])
        configure(&chance, removes: removes)
        listens = !removes && chance.chance(50)
    }

    private mutating func weigh(_ chance: inout SplitMix64, removes: Bool) {
        let always: [(DurableAction, Int)] = [
            (.publish, 12), (.resend, 4), (.connect, 6), (.openSeal, 6), (.attend, 6), (.credit, 5), (.commit, 6),
            (.commitSome, 6), (.hear, 10), (.answer, 12), (.acknowledge, 8), (.settleOne, 5), (.pass, 5),
        ]
        var sometimes: [(DurableAction, Int)] = [
            (.vanish, 3), (.leave, 2), (.read, 3), (.retry, 4), (.extend, 2), (.passLong, 2), (.block, 2), (.drain, 4),
            (.crash, 1), (.crash, 3), (.stop, 1), (.fill, 1), (.clockStep, 1), (.create, 2), (.seek, 2), (.end, 1),
        ]
        sometimes +=
            removes
            ? [(.purge, 1), (.declare, 2), (.undeclare, 1)] : [(.reject, 2), (.redrive, 2), (.drop, 1)]
        for (action, weight) in always { actions += repeatElement(action, count: weight) }
        for (action, weight) in sometimes where chance.chance(55) { actions += repeatElement(action, count: weight) }
        guard chance.chance(50) else { return }
        let later: [(DurableAction, Int)] = [(.later, 8), (.takeBack, 3), (.clockStep, chance.within(0...1))]
        for (action, weight) in later { actions += repeatElement(action, count: weight) }
    }

    private mutating func configure(_ chance: inout SplitMix64, removes: Bool) {
        configuration.admittedUIDs = [0, 1000, 1001]
        configuration.announcesSessions = false
        configuration.savePause = UInt64(chance.pick([1_000_000, 100_000_000, 2_000_000_000]))
        configuration.quotas.scheduled = chance.pick([2, 6, 65_536])
        isHard = removes && chance.chance(50)
        var settings = [Setting(.retentionAge, 0)]
        if removes { settings += [Setting(.retentionCount, 20), Setting(.retentionIsHard, isHard ? 1 : 0)] }
        if let filter = try? TopicFilter("d.>"), let made = try? TopicDeclaration(filter, settings: settings) {
            configuration.topics = [made]
        }
    }

    /// What a durable subscription of this name is.
    func mode(of name: String) -> SubscribeMode {
        switch name {
        case "shared": .shared
        case "exclusive": .exclusive
        case "free": .unacknowledged
        default: []
        }
    }

    var settings: [Setting] {
        [
            Setting(.acknowledgeWait, acknowledgeWait), Setting(.attemptCountMax, attemptCountMax),
            Setting(.backoffMin, 100_000), Setting(.backoffMax, 2_000_000),
        ]
    }
}
