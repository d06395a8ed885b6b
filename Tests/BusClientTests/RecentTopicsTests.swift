import BusWire
import Testing

@testable import BusClient

@Suite struct RecentTopicsTests {
    @Test func `when the bound is passed, those used longest ago leave, and none that may not`() throws {
        var topics = RecentTopics(countMax: 16)
        let all = try (0..<18).map { try Topic("t.\($0)") }
        for topic in all[0..<16] { #expect(topics.use(topic) { _ in true } == []) }
        #expect(topics.use(all[0]) { _ in true } == [])
        #expect(topics.use(all[16]) { $0 != all[1] } == [all[2], all[3]])
        #expect(topics.use(all[2]) { _ in true } == [])
        #expect(topics.use(all[17]) { _ in true } == [all[1], all[4]])
    }

    @Test func `where none may leave, more are kept than the bound`() throws {
        var topics = RecentTopics(countMax: 2)
        for number in 0..<5 { #expect(topics.use(try Topic("t.\(number)")) { _ in false } == []) }
        #expect(topics.removeAll().count == 5)
        #expect(topics.removeAll().isEmpty)
    }
}
