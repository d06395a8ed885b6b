// What differs between seeds: which things happen how often, how much of what is wrong, how tight the limits are.
// Swarm testing (Groce and others, 2012): most seeds leave out most things, so that some seed finds each thing alone.

import BusBroker
import BusWire

/// Something that can happen in a step.
enum Action: CaseIterable {
    case connect, hello, openSeal, closeSeal, publish, subscribe, unsubscribe, credit, acknowledge, inspect, goodbye
    case vanish, unblock, tick, longTick, sync, badFrame, malformed, badNumber, floodWindow, guessSeal
    case badSeal, badCounter, badColumns, badHeader, badTopic, badFilter, saltAgain, creditBack, acknowledgeUnsent
    case subscribeOddly, retain, request, badRequest, answer, badAnswer, cancelRequest, will, badWill, clearWill
    case circuit

    /// Without these nothing ever happens.
    static let necessary: [Action] = [.connect, .hello, .openSeal, .publish, .subscribe, .credit, .unblock, .tick]

    /// After these a session is gone, and with it all that made it interesting.
    static let final: [Action] = [.goodbye, .vanish, .badFrame, .malformed, .badNumber, .floodWindow]
}

struct SimulationKnobs {
    var configuration = BrokerConfiguration()
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
    var lastPercent = 0
    /// Overflow policies other than `stall`, each as often as it is here.
    var policies: [OverflowPolicy] = []
    /// Of sessions: how many never read again once their connection was full.
    var deafPercent = 0
    /// Of subscriptions: how many get no credit after their first.
    var deadPercent = 0
    /// Whether a user's queued bytes run out.
    var isTight = false
    /// The step in which the daemon begins to go down, if it does.
    var shutdownStep: Int?

    init(_ chance: inout SplitMix64, steps: Int) {
        for action in Action.allCases {
            let weight =
                if Action.necessary.contains(action) {
                    chance.pick([8, 16, 32])
                } else if Action.final.contains(action) {
                    chance.chance(30) ? 1 : 0
                } else {
                    chance.chance(40) ? chance.pick([1, 2, 8]) : 0
                }
            actions += repeatElement(action, count: action == .publish ? 3 * weight : weight)
        }
        users = Array([1000, 1001, 0].prefix(chance.within(1...3)))
        let names = ["a", "b", "a.a", "a.b", "b.a", "a.b.a", "b.b.a", "a.a.a"]
        topics = Array(names.prefix(chance.within(1...names.count)))
        filters = ["a", "b", "a.b", "*", ">", "a.*", "a.>", "*.a", "*.*", "*.>", "a.*.a", "*.b.>"]
        configuration.announcesSessions = chance.chance(50)
        if configuration.announcesSessions, chance.chance(70) {
            filters += ["$bus.session.opened", "$bus.session.*", "$bus.>", "$bus.session.closed"]
        }
        ownSealFailPercent = chance.pick([0, 0, 30])
        blockPercent = chance.pick([0, 0, 10, 40])
        drainPercent = chance.pick([20, 60, 100])
        stallPercent = chance.pick([0, 0, 30, 80])
        receiptPercent = chance.pick([0, 50, 100, 100])
        patientPercent = chance.pick([0, 50, 100])
        eventCountMax = chance.pick([1, 3, 20])
        payloadLengthMax = chance.pick([0, 100, 2000])
        sessionCountMax = chance.pick([2, 4, 12])
        queueEventCountMax = chance.pick([1, 5, 30])
        creditMax = chance.pick([1, 20, 400])
        if chance.chance(30), let filter = try? TopicFilter(chance.pick(["a.>", "b", "*.a"])) {
            configuration.topics = [TopicDeclaration(filter, retains: true)]
        }
        groups = Array(["g", "h", "i"].prefix(chance.within(1...3)))
        groupPercent = chance.pick([0, 0, 30, 90])
        exclusivePercent = chance.pick([0, 0, 50])
        respondPercent = chance.pick([0, 20, 60])
        lastPercent = chance.pick([0, 0, 50])
        policies = chance.pick([[.dropOldest], [.latest], OverflowPolicy.allCases.filter { $0 != .stall }])
        deafPercent = chance.pick([0, 0, 20])
        deadPercent = chance.pick([0, 0, 20])
        isTight = chance.chance(15)
        shutdownStep = chance.chance(30) ? steps / 2 + chance.below(max(steps / 2, 1)) : nil
        setLimits(&chance)
    }

    private mutating func setLimits(_ chance: inout SplitMix64) {
        configuration.admittedUIDs = [0, 1000, 1001]
        configuration.publishWindow = chance.pick([500, 4000, 100_000])
        configuration.helloTimeout = 50_000_000
        configuration.patientCountMax = chance.pick([1, 3, 16])
        configuration.drainTimeout = 80_000_000
        configuration.quotas.connections = chance.pick([2, 100])
        configuration.subscriptionCountMax = chance.pick([2, 100])
        configuration.sealCountMax = chance.pick([3, 100])
        configuration.roundLengthMax = chance.pick([200, 3000, 100_000])
        configuration.roundCountMax = chance.pick([1, 4, 400])
        // Who is ended for not reading while parked publishes go on ends stalls between them, and the model couldn't
        // tell in which order they went. A unit test has that case.
        configuration.unreadCountMax = stallPercent > 0 ? 1000 : chance.pick([1, 5, 1000])
        configuration.announcedCountMax = chance.pick([1, 3, 4096])
        if isTight { configuration.quotas.queuedLength = chance.pick([300, 3000]) }
    }
}
