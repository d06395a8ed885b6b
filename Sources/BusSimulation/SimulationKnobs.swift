// What differs between seeds: which things happen how often, how much of what is wrong, how tight the limits are.
// Swarm testing (Groce and others, 2012): most seeds leave out most things, so that some seed finds each thing alone.

import BusBroker
import BusWire

struct SimulationKnobs {
    var configuration = BrokerConfiguration()
    var themes: Set<Theme> = []
    /// Each action as often as its weight.
    var actions: [Action] = []
    var users: [UInt32] = []
    var topics: [String] = []
    var filters: [String] = []
    /// How often a connection takes nothing more.
    var blockPercent = 0
    /// How often a connection that was written to is drained at the end of a round.
    var drainPercent = 0
    var stallPercent = 0
    /// How often the daemon gets no key for what it has to say itself.
    var ownSealFailPercent = 0
    var receiptPercent = 0
    var patientPercent = 0
    var eventCountMax = 0
    var payloadLengthMax = 0
    var sessionCountMax = 0
    var queueEventCountMax = 0
    var creditMax = 0
    var groups: [String] = []
    var groupPercent = 0
    var exclusivePercent = 0
    var respondPercent = 0
    /// How many batches have ordering keys, and how many keys there are, none among them.
    var keyPercent = 0
    var keyCount = 1
    var lastPercent = 0
    /// Overflow policies other than `stall`, each as often as it is here.
    var policies: [OverflowPolicy] = []
    /// Of sessions: how many never read again once their connection was full.
    var deafPercent = 0
    /// Of subscriptions: how many get no credit after their first.
    var deadPercent = 0
    /// Whether a user's queued bytes run out.
    var isTight = false
    /// Whether publishes of several sessions wait at a time: where receipts tell all of their order.
    var severalWait = false
    /// Whether requests are asked again: not where one may be closed by losses that can't be foreseen.
    var asksAgain = false
    /// How many publishes carry ids of an earlier one, and say so.
    var againPercent = 0
    /// The step in which the daemon begins to go down, if it does.
    var shutdownStep: Int?

    init(_ chance: inout SplitMix64, steps: Int) {
        for theme in Theme.allCases where chance.chance(40) { themes.insert(theme) }
        isTight = chance.chance(15)
        // Who is refused what, and in which order publishes go on, can't both be told.
        if isTight || themes.contains(.stalls) { themes.remove(.quotas) }
        weigh(&chance)
        setNames(&chance)
        blockPercent = chance.pick([0, 0, 10, 40])
        drainPercent = chance.pick([20, 60, 100])
        receiptPercent = chance.pick([0, 50, 100, 100])
        patientPercent = chance.pick([0, 50, 100])
        eventCountMax = chance.pick([1, 3, 20])
        payloadLengthMax = chance.pick([0, 100, 2000])
        sessionCountMax = chance.pick([2, 4, 12])
        queueEventCountMax = chance.pick([1, 5, 30])
        creditMax = chance.pick([1, 20, 400])
        policies = chance.pick([[.dropOldest], [.latest], OverflowPolicy.allCases.filter { $0 != .stall }])
        deafPercent = chance.pick([0, 0, 20])
        deadPercent = chance.pick([0, 0, 20])
        asksAgain = !isTight && !themes.contains(.stalls)
        // What a queue of the newest loses to its user's limit can't be told from what was superseded; and who is put
        // out while publishes go on that waited, not from who was there.
        if isTight { policies = chance.pick([[.dropOldest], [.dropNewest], [.dropOldest, .disconnect]]) }
        if themes.contains(.stalls) { policies.removeAll { $0 == .disconnect } }
        ownSealFailPercent = chance.pick([0, 0, 30])
        shutdownStep = chance.chance(30) ? steps / 2 + chance.below(max(steps / 2, 1)) : nil
        if themes.contains(.stalls) { stallPercent = chance.pick([30, 80]) }
        if themes.contains(.groups) {
            groupPercent = chance.pick([50, 90])
            exclusivePercent = chance.pick([0, 0, 50])
        }
        if themes.contains(.requests) { respondPercent = chance.pick([30, 70]) }
        if themes.contains(.lastValues) { lastPercent = chance.pick([30, 70]) }
        if stallPercent > 0, !isTight, chance.chance(30) { haveSeveralWait() }
        setLimits(&chance)
        if themes.contains(.quotas) { setQuotas(&chance) }
        if themes.contains(.groups), !isTight, stallPercent == 0 {
            keyPercent = chance.pick([0, 30, 100])
            keyCount = chance.pick([2, 4, 12])
        }
        // Not where publishes wait: what has no effect but its receipt says too little of when it went on.
        if !themes.contains(.stalls) { againPercent = chance.pick([0, 0, 5, 30]) }
    }

    /// One topic, a receipt for each event on it at once, and everybody reads: so the order in which those who waited go
    /// on is known.
    private mutating func haveSeveralWait() {
        severalWait = true
        topics.removeLast(topics.count - 1)
        (receiptPercent, patientPercent, blockPercent) = (100, 0, 0)
    }

    private mutating func weigh(_ chance: inout SplitMix64) {
        for action in Action.allCases {
            var weight = 0
            if Action.necessary.contains(action) {
                weight = chance.pick([8, 16, 32])
            } else if Action.final.contains(action) {
                weight = chance.chance(30) ? 1 : 0
            } else if !Theme.themed.contains(action) {
                weight = chance.chance(40) ? chance.pick([1, 2, 8]) : 0
            }
            actions += repeatElement(action, count: action == .publish ? 3 * weight : weight)
        }
        for theme in Theme.allCases where themes.contains(theme) {
            for action in theme.actions { actions += repeatElement(action, count: chance.pick([0, 4, 8, 16])) }
        }
    }

    private mutating func setNames(_ chance: inout SplitMix64) {
        users = Array([1000, 1001, 0].prefix(chance.within(1...3)))
        let names = ["a", "b", "a.a", "a.b", "b.a", "a.b.a", "b.b.a", "a.a.a"]
        topics = Array(names.prefix(chance.within(1...names.count)))
        var all = ["a", "b", "a.b", "*", ">", "a.*", "a.>", "*.a", "*.*", "*.>", "a.*.a", "*.b.>"]
        // With few filters more are the same, and groups have more members.
        for _ in 0..<chance.pick([0, 6, 10]) { all.remove(at: chance.below(all.count)) }
        filters = all + (all.contains(">") ? [] : [">"])
        configuration.announcesSessions = chance.chance(50)
        if configuration.announcesSessions, chance.chance(70) {
            filters += ["$bus.session.opened", "$bus.session.*", "$bus.>", "$bus.session.closed"]
        }
        groups = Array(["g", "h", "i"].prefix(chance.within(1...3)))
        if themes.contains(.lastValues), chance.chance(50),
            let filter = try? TopicFilter(chance.pick(["a.>", "b", "*.a"]))
        {
            configuration.topics = [TopicDeclaration(filter, retains: true)]
        }
    }

    private mutating func setLimits(_ chance: inout SplitMix64) {
        configuration.admittedUIDs = [0, 1000, 1001]
        configuration.publishWindow = chance.pick([500, 4000, 100_000])
        configuration.helloTimeout = 50_000_000
        configuration.patientCountMax = chance.pick([1, 3, 16])
        configuration.drainTimeout = 80_000_000
        configuration.subscriptionCountMax = chance.pick([2, 100])
        configuration.sealCountMax = chance.pick([3, 100])
        configuration.roundLengthMax = chance.pick([200, 3000, 100_000])
        configuration.roundCountMax = chance.pick([1, 4, 400])
        // Who is ended for not reading while parked publishes go on ends stalls between them, and the model couldn't
        // tell in which order they went. A unit test has that case.
        configuration.unreadCountMax = stallPercent > 0 ? 1000 : chance.pick([1, 5, 1000])
        configuration.announcedCountMax = chance.pick([1, 3, 4096])
        configuration.topicIdleTime = chance.pick([20_000_000, 200_000_000, 600_000_000_000])
        configuration.pageRowCountMax = chance.pick([1, 3, 512])
        configuration.quotas.connections = chance.pick([2, 100])
        if isTight { configuration.quotas.queuedLength = chance.pick([300, 3000]) }
    }

    /// One limit or two that are reached.
    private mutating func setQuotas(_ chance: inout SplitMix64) {
        for _ in 0..<chance.within(1...2) {
            switch chance.below(6) {
            case 0: configuration.quotas.subscriptions = chance.within(1...6)
            case 1: configuration.quotas.topics = chance.within(1...4)
            case 2: configuration.quotas.retainedLength = chance.pick([300, 3000])
            case 3: configuration.quotas.outstandingEvents = chance.within(1...30)
            case 4: configuration.quotas.requests = chance.within(1...6)
            default: configuration.quotas.publishRate = chance.pick([20, 200, 2000])
            }
        }
    }
}
