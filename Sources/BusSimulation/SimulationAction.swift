// What can happen in a step, and in which worlds it does.

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

/// What a world is about: most seeds leave most of it out, and what they are about happens often.
enum Theme: CaseIterable {
    case groups, requests, lastValues, wills, stalls, quotas

    /// What happens more often then.
    var actions: [Action] {
        switch self {
        case .groups: [.acknowledge, .acknowledge, .unsubscribe]
        case .requests: [.request, .request, .answer, .answer, .answer, .badAnswer, .badRequest, .cancelRequest]
        case .lastValues: [.retain, .retain]
        case .wills: [.will, .will, .badWill, .clearWill]
        case .stalls: [.longTick]
        case .quotas: [.inspect]
        }
    }

    /// Without it these never happen.
    static let themed: [Action] = [
        .request, .answer, .badAnswer, .badRequest, .cancelRequest, .retain, .will, .badWill, .clearWill,
    ]
}
