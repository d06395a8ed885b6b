import BusWire
import Testing

@Suite("A setting's value")
struct SettingValuesTests {
    private static let all = SettingKey.ofTopics + SettingKey.ofSubscriptions

    @Test("has a default that it may have, and comes back from its text", arguments: all.map(\.rawValue))
    func defaults(_ number: UInt16) {
        let key = SettingKey(rawValue: number)
        #expect(key.isKnown && key.allows(key.standard))
        #expect(key.value(key.text(key.standard)) == key.standard)
        #expect(key.isOfTopic == (number < 20))
    }

    @Test("has the defaults of the documents")
    func documented() {
        let defaults = SettingValuesTests.all.map { "\($0.name) \($0.text($0.standard))" }
        #expect(
            defaults == [
                "durable true", "retain false", "max-age 7d", "max-bytes 0", "max-events 0", "limit-hard false",
                "dedup 10m", "max-payload 0", "ack-wait 30s", "attempts 10", "backoff-min 100ms",
                "backoff-max 30s", "expire 0s", "dead-letters true", "max-outstanding 65536", "dead-expired false",
            ])
    }

    @Test(
        "within its bounds is taken, and no other",
        arguments: [
            ("max-age", ["0", "999ms", "36500d"], ["36501d", "7", "-1d", "week"]),
            ("max-bytes", ["0", "1", "1024TiB"], ["-1", "1025TiB", "1GB", "1.5GiB"]),
            ("limit-hard", ["true", "false"], ["hard", "1", "yes", "True"]),
            ("dedup", ["0", "0s", "30d"], ["36501d", "1"]),
            ("max-payload", ["0", "1", "64MiB"], ["65MiB"]),
            ("ack-wait", ["100ms", "1d"], ["0", "99ms", "2d"]),
            ("attempts", ["1", "10000"], ["0", "10001", "1.5", "many", ""]),
            ("expire", ["0", "30d"], ["-1s"]),
        ])
    func bounds(_ name: String, _ taken: [String], _ refused: [String]) throws {
        let key = try #require(SettingValuesTests.all.first { $0.name == name })
        for text in taken { #expect(key.value(text) != nil, "\(name) \(text)") }
        for text in refused { #expect(key.value(text) == nil, "\(name) \(text)") }
    }

    @Test("is described by what it may be")
    func expectations() {
        #expect(SettingKey.retentionAge.expectation == "a time from 0s to 36500d, such as 7d")
        #expect(SettingKey.retentionLength.expectation == "a size from 0 to 1024TiB, such as 1GiB")
        #expect(SettingKey.attemptCountMax.expectation == "a number from 1 to 10000, such as 10")
        #expect(SettingKey.retain.expectation == "true or false")
    }

    @Test("of a key nobody knows is none")
    func unknown() {
        let key = SettingKey(rawValue: 999)
        #expect(!key.isKnown && !key.isOfTopic && !key.allows(0) && key.value("0") == nil)
        #expect(key.text(5) == "5" && key.expectation == "nothing this version knows")
    }
}
