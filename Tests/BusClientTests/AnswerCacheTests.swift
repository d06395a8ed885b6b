import BusWire
import Testing

@testable import BusClient

@Suite struct AnswerCacheTests {
    private func key(_ number: UInt64, uid: UInt32 = 1000, topic: String = "a") throws -> RequestKey {
        RequestKey(id: BusUUID(high: 1, low: number), uid: uid, topic: try Topic(topic))
    }

    private func answer(_ texts: String...) -> Answer {
        var answer = Answer()
        for text in texts { answer.append(OutgoingEvent(text)) }
        return answer
    }

    @Test func `an answer is found again with its parts, by id, user and topic`() throws {
        var cache = AnswerCache()
        cache.keep(answer("one", "two"), for: try key(1))
        #expect(cache[try key(1)]?.parts.map(\.payload) == [Array("one".utf8), Array("two".utf8)])
        #expect(cache[try key(2)] == nil)
        // Whoever saw the id may not have the answer.
        #expect(cache[try key(1, uid: 1001)] == nil)
        #expect(cache[try key(1, topic: "b")] == nil)
    }

    @Test func `the oldest make room, by count and by length`() throws {
        var counted = AnswerCache(countMax: 3, lengthMax: 1000)
        for number in 1...5 { counted.keep(answer("x"), for: try key(UInt64(number))) }
        #expect(counted.count == 3 && counted.length == 3)
        #expect(try counted[key(2)] == nil && counted[key(3)] != nil)

        var measured = AnswerCache(countMax: 100, lengthMax: 10)
        for number in 1...5 { measured.keep(answer("1234"), for: try key(UInt64(number))) }
        #expect(measured.count == 2 && measured.length == 8)
        #expect(try measured[key(3)] == nil && measured[key(4)] != nil)
    }

    @Test func `an answer over the bound isn't kept, nor does it drive out others`() throws {
        var cache = AnswerCache(countMax: 100, lengthMax: 10)
        cache.keep(answer("1234"), for: try key(1))
        cache.keep(answer("12345", "123456"), for: try key(2))
        #expect(try cache[key(1)] != nil && cache[key(2)] == nil)
    }

    @Test func `an answer given anew takes the old one's place`() throws {
        var cache = AnswerCache(countMax: 2, lengthMax: 100)
        cache.keep(answer("123456"), for: try key(1))
        cache.keep(answer("1"), for: try key(1))
        #expect(cache.count == 1 && cache.length == 1)
        cache.keep(answer("2"), for: try key(2))
        cache.keep(answer("3"), for: try key(3))
        #expect(cache.count == 2 && cache.length == 2)
    }

    @Test func `headers count`() {
        let event = OutgoingEvent("12", headers: [EventHeader("abc", "defg")])
        #expect(Answer.length(of: event) == 9)
    }
}
