import BusWire
import Testing

@testable import BusBroker

@Suite("Settings of durable subscriptions and topics")
struct DurableSettingsTests {
    @Test("pauses double up to the longest, each a fifth more or less")
    func backoff() throws {
        let values = try DurableSettings([Setting(.backoffMin, 100_000), Setting(.backoffMax, 1_000_000)])
        for spread in UInt64(0)..<200 {
            for (attempt, pause) in [(2, 100), (3, 200), (4, 400), (5, 800), (6, 1000), (10_000, 1000)] {
                let millisecond: UInt64 = 1_000_000
                let got = values.backoff(before: UInt16(attempt), spread: spread)
                #expect(got >= UInt64(pause) * millisecond * 8 / 10)
                #expect(got <= UInt64(pause) * millisecond * 12 / 10)
            }
        }
    }

    @Test("what failed together doesn't come back together")
    func spread() throws {
        let values = DurableSettings()
        let pauses = Set((0..<100).map { values.backoff(before: 2, spread: $0) })
        #expect(pauses.count > 50)
    }

    @Test("numbers out of bounds are refused by name", arguments: [Int64.min, -1, Int64.max])
    func bounds(value: Int64) {
        for key in [SettingKey.acknowledgeWait, .attemptCountMax, .backoffMin, .outstandingCountMax, .deadLetters] {
            let fault = #expect(throws: SettingFault.self) { try DurableSettings([Setting(key, value)]) }
            #expect(fault?.description.contains(key.name) == true)
        }
        let topic = #expect(throws: SettingFault.self) { try TopicSettings([Setting(.retentionAge, value)]) }
        #expect(topic?.description.contains("max-age") == true)
    }

    @Test("a topic's setting is none of a subscription, nor the other way round")
    func kinds() {
        #expect(throws: SettingFault.self) { try DurableSettings([Setting(.retain, 1)]) }
        #expect(throws: SettingFault.self) { try TopicSettings([Setting(.acknowledgeWait, 1_000_000)]) }
        #expect(throws: SettingFault.self) { try DurableSettings([Setting(SettingKey(rawValue: 999), 1)]) }
    }

    @Test("a shortest pause beyond the longest contradicts itself")
    func contradiction() {
        #expect(throws: SettingFault.self) {
            try DurableSettings([Setting(.backoffMin, 2_000_000), Setting(.backoffMax, 1_000_000)])
        }
    }

    @Test("what is said later holds, and each thing is said once")
    func merge() {
        let merged = Setting.merge(
            [Setting(.retain, 0)], [Setting(.retain, 1), Setting(.durable, 1), Setting(.retain, 0)])
        #expect(merged == [Setting(.retain, 0), Setting(.durable, 1)])
    }
}
