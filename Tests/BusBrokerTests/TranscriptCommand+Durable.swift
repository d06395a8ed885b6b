// A transcript's commands about what is stored: `attend 2 1 work filter=jobs shared`, `retry 2 1 3 events=2 delay=500`.

import BusSimulation
import BusWire

@testable import BusBroker

extension TranscriptCommand {
    /// The frame of a command about durable subscriptions; nil for any other.
    func durableFrame() throws(Fault) -> Frame? {
        switch verb {
        case "attend": return .subscribe(try attend())
        case "retry": return .settle(try settle(.retry))
        case "reject": return .settle(try settle(.reject))
        case "extend": return .settle(try settle(.extend))
        case "redrive": return .administer(Administer(request: 1, .redriveDead, key: try word(1)))
        default: return nil
        }
    }

    private func attend() throws(Fault) -> Subscribe {
        var mode: SubscribeMode = []
        if has("shared") { mode.insert(.shared) }
        if has("exclusive") { mode.insert(.exclusive) }
        var settings: [Setting] = []
        if let attempts = options["attempts"] { settings.append(Setting(.attemptCountMax, Int64(clamping: attempts))) }
        return Subscribe(
            subscription: UInt32(clamping: try number(1)), filter: Array((texts["filter"] ?? "").utf8),
            creditEvents: options["credit"] ?? 1000, creditBytes: 1 << 30, mode: mode,
            durableName: Array(try word(2).utf8), start: has("all") ? .all : nil, settings: settings)
    }

    private func settle(_ settlement: Settlement) throws(Fault) -> Settle {
        let events = options["event"].map { [UInt8](repeating: 0, count: Int($0 / 8)) + [1 << UInt8($0 % 8)] } ?? []
        return Settle(
            settlement, subscription: UInt32(clamping: try number(1)), delivery: try number(2),
            delayMilliseconds: UInt32(clamping: options["delay"] ?? 0), selection: SharedBytes(events),
            message: texts["because"] ?? "")
    }
}

extension Bench {
    /// What waits for the disk is on it; what follows comes with the round's end.
    func commitInRound() {
        guard let commit = store?.commit() else { return }
        broker.handle(.stored(commit), at: now)
    }
}
