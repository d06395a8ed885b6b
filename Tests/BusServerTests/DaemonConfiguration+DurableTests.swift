import BusBroker
import BusWire
import Testing

@testable import BusServer

@Suite struct DaemonConfigurationDurableTests {
    private func read(_ yaml: String, hasStore: Bool = true) throws(ServerError) -> DaemonConfiguration {
        var configuration = DaemonConfiguration()
        configuration.offersDurableTopics = hasStore
        try configuration.read(yaml: yaml, from: "busd.yaml")
        return configuration
    }

    private func refusal(
        _ yaml: String, hasStore: Bool = true, location: SourceLocation = #_sourceLocation
    ) -> String {
        do throws(ServerError) {
            let configuration = try read(yaml, hasStore: hasStore)
            Issue.record("it was taken: \(configuration)", sourceLocation: location)
            return ""
        } catch {
            return error.description
        }
    }

    @Test func `a declared topic is durable and has the settings that were given`() throws {
        let yaml = """
            topics:
              'orders.>': {max-age: 30d, max-bytes: 1GiB, max-events: 1000, limit: hard, dedup: 1h}
              'audit.*': {kind: durable, retain: true, max-payload: 64KiB, limit: soft}
              'config.>': {kind: live, retain: true, max-payload: 1KiB}
            """
        let day: Int64 = 86_400_000_000
        #expect(
            try read(yaml).declaredTopics == [
                DeclaredTopics(
                    filter: try TopicFilter("orders.>"),
                    settings: [
                        Setting(.durable, 1), Setting(.retentionAge, 30 * day), Setting(.retentionLength, 1 << 30),
                        Setting(.retentionCount, 1000), Setting(.retentionIsHard, 1),
                        Setting(.duplicateWindow, day / 24),
                    ]),
                DeclaredTopics(
                    filter: try TopicFilter("audit.*"),
                    settings: [
                        Setting(.durable, 1), Setting(.retain, 1), Setting(.payloadLengthMax, 65_536),
                        Setting(.retentionIsHard, 0),
                    ]),
                DeclaredTopics(
                    filter: try TopicFilter("config.>"),
                    settings: [Setting(.durable, 0), Setting(.retain, 1), Setting(.payloadLengthMax, 1024)]),
            ])
        #expect(try read(yaml).topics.map(\.retains) == [false, true, true])
    }

    @Test func `a topic's longest payload is held to the bus's, whichever file says that`() throws {
        var configuration = try read("payload_max: 1KiB\ntopics: {'a': {max-payload: 1KiB}}")
        try configuration.checkAll()
        try configuration.read(yaml: "topics:\n  'b':\n    max-payload: 2KiB", from: "topics.yaml")
        do throws(ServerError) {
            try configuration.checkAll()
            Issue.record("2 KiB were taken")
        } catch {
            #expect(
                error.description.contains(
                    "topics.yaml:2: topics 'b': max-payload 2KiB is above this bus's payload_max, 1KiB"), "\(error)")
        }
        try configuration.read(yaml: "payload_max: 1MiB", from: "later.yaml")
        try configuration.checkAll()
    }

    @Test func `a later file's declaration of a filter takes the place of an earlier one's`() throws {
        var configuration = try read("topics: {'a.>': {max-age: 1d}, 'b': {}}")
        try configuration.read(yaml: "topics: {'a.>': {kind: live}}", from: "later.yaml")
        #expect(configuration.declaredTopics.map(\.filter.description) == ["b", "a.>"])
        #expect(configuration.declaredTopics.map(\.settings) == [[Setting(.durable, 1)], [Setting(.durable, 0)]])
        #expect(configuration.topics.map(\.filter) == configuration.declaredTopics.map(\.filter))
    }

    @Test(arguments: [
        ("max_age: 1d", "busd.yaml:3: unknown key `max_age`; did you mean `max-age`?"),
        ("retention: 1d", "busd.yaml:3: unknown key `retention`; did you mean `retain`?"),
        ("kind: durabel", "busd.yaml:3: kind `durabel` is neither durable nor live"),
        ("limit: true", "busd.yaml:3: limit `true` is neither hard nor soft"),
        ("max-age: 7", "busd.yaml:3: max-age `7` is not a time from 0s to 36500d, such as 7d"),
        ("max-bytes: 1GB", "busd.yaml:3: max-bytes `1GB` is not a size from 0 to 1024TiB, such as 1GiB"),
        ("max-payload: 65MiB", "busd.yaml:3: max-payload `65MiB` is not a size from 0 to 64MiB, such as 64KiB"),
        ("max-events: -1", "busd.yaml:3: max-events `-1` is not a number from 0 to"),
        ("dedup: 36501d", "busd.yaml:3: dedup `36501d` is not a time from 0s to 36500d, such as 10m"),
        ("retain: yes", "busd.yaml:3: retain `yes` is not true or false"),
        ("max-age: [1d]", "busd.yaml:3: `max-age` needs one value"),
    ])
    func `a wrong setting of a topic is refused with its place and what it may be`(line: String, message: String) {
        let text = refusal("topics:\n  'orders.>':\n    \(line)\n")
        #expect(text.contains(message), "\(text)")
    }

    @Test(arguments: ["max-age: 1d", "max-bytes: 1KiB", "max-events: 1", "limit: hard"])
    func `what is said of stored events doesn't go with live topics, in either order`(line: String) {
        let name = line.prefix { $0 != ":" }
        for entry in ["{kind: live, \(line)}", "{\(line), kind: live}"] {
            let text = refusal("topics:\n  'a': \(entry)\n")
            #expect(
                text.contains("busd.yaml:2: \(name) is for what is stored, and topics 'a' say `kind: live`"), "\(text)")
        }
    }

    @Test func `the store has its bounds, and defaults where nothing is said`() throws {
        let store = try read("store: {max-bytes: 8GiB, dead-letters: {max-age: 1d, share: 10%}}").store
        #expect(store.lengthMax == 8 << 30 && store.deadLetterAgeMax == .seconds(86_400))
        #expect(store.lengthMax(onFileSystemOf: 1 << 30) == 8 << 30)
        #expect(store.deadLetterLengthMax(ofStore: 1000) == 100)
        let standard = try read("").store
        #expect(standard.lengthMax(onFileSystemOf: 10 << 30) == 1 << 30)
        #expect(standard.lengthMax(onFileSystemOf: 1 << 40) == 4 << 30)
        #expect(standard.deadLetterAgeMax == .seconds(14 * 86_400) && standard.deadLetterShareMax == 5)
        #expect(standard.deadLetterLengthMax(ofStore: .max) > 0)
    }

    @Test(arguments: [
        ("store: {max_bytes: 1GiB}", "unknown key `max_bytes`; did you mean `max-bytes`?"),
        ("store: {max-bytes: 1KiB}", "max-bytes `1KiB` is not a size from 1MiB to 1024TiB, such as 4GiB"),
        ("store: {max-bytes: 10%}", "max-bytes `10%` is not a size"),
        ("store: {dead-letters: {share: 5}}", "share `5` is not a share from 1% to 50%, such as 5%"),
        ("store: {dead-letters: {share: 51%}}", "share `51%` is not a share"),
        ("store: {dead-letters: {age: 1d}}", "unknown key `age`; did you mean `share`?"),
        ("store: {dead-letters: true}", "`dead-letters` needs `key: value` lines"),
        ("store: 4GiB", "`store` needs `key: value` lines"),
    ])
    func `a wrong bound of the store is refused`(yaml: String, message: String) {
        let text = refusal(yaml)
        #expect(text.hasPrefix("busd.yaml:1: ") && text.contains(message), "\(text)")
    }

    @Test func `durable subscriptions have defaults, the last of several files`() throws {
        let first = "subscriptions: {ack-wait: 1m, attempts: 3, backoff-min: 1s, backoff-max: 1h, expire: 90d}"
        var configuration = try read(first + "\n")
        try configuration.read(
            yaml:
                "subscriptions: {attempts: 5, dead-letters: false, dead-expired: true, max-outstanding: 10, unattended: 7d}",
            from: "later.yaml")
        #expect(
            configuration.subscriptions.settings == [
                Setting(.acknowledgeWait, 60_000_000), Setting(.backoffMin, 1_000_000),
                Setting(.backoffMax, 3_600_000_000), Setting(.unattendedMax, 90 * 86_400_000_000),
                Setting(.attemptCountMax, 5), Setting(.deadLetters, 0), Setting(.deadLettersExpired, 1),
                Setting(.outstandingCountMax, 10),
            ])
        #expect(configuration.subscriptions.unattendedTime == .seconds(7 * 86_400))
        #expect(try read("").subscriptions == SubscriptionDefaults())
    }

    @Test(arguments: [
        ("ack_wait: 1s", "unknown key `ack_wait`; did you mean `ack-wait`?"),
        ("ack-wait: 1ms", "ack-wait `1ms` is not a time from 100ms to 1d, such as 30s"),
        ("attempts: 0", "attempts `0` is not a number from 1 to 10000, such as 10"),
        ("backoff-min: 1h", "backoff-min 1h is longer than backoff-max 30s"),
        ("unattended: 1s", "unattended `1s` is not a time"),
        ("unattended: 90500ms", "unattended `90500ms` is not a time"),
    ])
    func `a wrong default of subscriptions is refused`(line: String, message: String) {
        let text = refusal("subscriptions:\n  \(line)\n")
        #expect(text.contains(message), "\(text)")
    }

    @Test(arguments: [
        ("topics: {'a': {}}", "topics 'a' would be durable, which this daemon doesn't offer yet: say `kind: live`"),
        ("topics: {'a': {kind: durable}}", "would be durable"),
        ("store: {max-bytes: 4GiB}", "`store` is for durable topics, which this daemon doesn't offer yet"),
        ("subscriptions: {attempts: 3}", "`subscriptions` is for durable topics, which this daemon doesn't offer yet"),
    ])
    func `a daemon without a store refuses what counts on one`(yaml: String, message: String) {
        #expect(refusal(yaml, hasStore: false).contains(message))
    }

    @Test func `a daemon without a store takes live topics`() throws {
        let configuration = try read("topics: {'a': {kind: live, retain: true}}", hasStore: false)
        #expect(configuration.topics.map(\.retains) == [true])
        #expect(configuration.declaredTopics.map(\.settings) == [[Setting(.durable, 0), Setting(.retain, 1)]])
    }
}
