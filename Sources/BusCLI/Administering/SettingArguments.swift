// Settings of topics and durable subscriptions on the command line. What isn't said isn't sent: the daemon's defaults
// hold, or what was said before.

import ArgumentParser
import BusClient

/// A setting's value, with its unit.
private func value(_ key: SettingKey) -> @Sendable (String) throws -> Int64 {
    { text in
        guard let value = key.value(text) else { throw ValidationError("“\(text)” is not \(key.expectation)") }
        return value
    }
}

/// What topics are told.
struct TopicSettingArguments: ParsableArguments {
    enum Kind: String, ExpressibleByArgument, CaseIterable { case durable, live }
    enum Limit: String, ExpressibleByArgument, CaseIterable { case hard, soft }

    @Option(help: "Whether events are stored before anybody hears of them; declared topics are unless you say live.")
    var kind: Kind?

    @Option(
        help: ArgumentHelp("How long events are kept: 7d unless said otherwise.", valueName: "time"),
        transform: value(.retentionAge))
    var maxAge: Int64?

    @Option(
        help: ArgumentHelp("How many bytes of them are kept: 1GiB; 0 for no limit.", valueName: "size"),
        transform: value(.retentionLength))
    var maxBytes: Int64?

    @Option(
        help: ArgumentHelp("How many events are kept; 0 for no limit.", valueName: "n"),
        transform: value(.retentionCount))
    var maxEvents: Int64?

    @Option(help: "Whether these limits hold also against what isn't acknowledged: hard, or soft.")
    var limit: Limit?

    @Flag(inversion: .prefixedNo, help: "Keep the last event of each topic for whoever asks later.")
    var retain: Bool?

    @Option(
        help: ArgumentHelp(
            "How long an event's id is remembered, so that none is taken twice: 10m; 0 for not at all.",
            valueName: "time"),
        transform: value(.duplicateWindow))
    var dedup: Int64?

    @Option(
        help: ArgumentHelp("The longest payload of one event.", valueName: "size"),
        transform: value(.payloadLengthMax))
    var maxPayload: Int64?

    func validate() throws {
        guard kind == .live else { return }
        let stored = [
            ("--max-age", maxAge != nil), ("--max-bytes", maxBytes != nil), ("--max-events", maxEvents != nil),
            ("--limit", limit != nil),
        ]
        if let (name, _) = stored.first(where: { $0.1 }) {
            throw ValidationError("\(name) is for what is stored: not with --kind live")
        }
    }

    /// What was said.
    var settings: [Setting] {
        let said: [(SettingKey, Int64?)] = [
            (.durable, kind.map { $0 == .durable ? 1 : 0 }), (.retain, retain.map { $0 ? 1 : 0 }),
            (.retentionAge, maxAge), (.retentionLength, maxBytes), (.retentionCount, maxEvents),
            (.retentionIsHard, limit.map { $0 == .hard ? 1 : 0 }), (.duplicateWindow, dedup),
            (.payloadLengthMax, maxPayload),
        ]
        return said.compactMap { key, value in value.map { Setting(key, $0) } }
    }
}

/// What durable subscriptions are told.
struct SubscriptionSettingArguments: ParsableArguments {
    @Option(
        help: ArgumentHelp("How long a delivery may go unacknowledged: 30s.", valueName: "time"),
        transform: value(.acknowledgeWait))
    var ackWait: Int64?

    @Option(
        help: ArgumentHelp("How often an event is tried: 10.", valueName: "n"), transform: value(.attemptCountMax))
    var attempts: Int64?

    @Option(
        help: ArgumentHelp("The pause before the second attempt, doubled for each after: 100ms.", valueName: "time"),
        transform: value(.backoffMin))
    var backoffMin: Int64?

    @Option(
        help: ArgumentHelp("The longest pause between attempts: 30s.", valueName: "time"),
        transform: value(.backoffMax))
    var backoffMax: Int64?

    @Option(
        help: ArgumentHelp("Remove it after so long without a consumer; 0 for never.", valueName: "time"),
        transform: value(.unattendedMax))
    var expire: Int64?

    @Flag(inversion: .prefixedNo, help: "Keep what is given up as dead letters.")
    var deadLetters: Bool?

    @Flag(inversion: .prefixedNo, help: "Keep what expired as dead letters, too.")
    var deadExpired: Bool?

    @Option(
        help: ArgumentHelp("Events its consumers may hold unacknowledged, all together.", valueName: "n"),
        transform: value(.outstandingCountMax))
    var maxOutstanding: Int64?

    func validate() throws {
        guard let least = backoffMin, let most = backoffMax, least > most else { return }
        throw ValidationError("--backoff-min is longer than --backoff-max")
    }

    /// What was said.
    var settings: [Setting] {
        let said: [(SettingKey, Int64?)] = [
            (.acknowledgeWait, ackWait), (.attemptCountMax, attempts), (.backoffMin, backoffMin),
            (.backoffMax, backoffMax), (.unattendedMax, expire), (.deadLetters, deadLetters.map { $0 ? 1 : 0 }),
            (.deadLettersExpired, deadExpired.map { $0 ? 1 : 0 }), (.outstandingCountMax, maxOutstanding),
        ]
        return said.compactMap { key, value in value.map { Setting(key, $0) } }
    }
}
