// Rights to answer: each used once, found by requester and correlation, taken back from either side.

import BusWire
import Testing

@testable import BusBroker

/// Rights that can be used up in the middle of an expectation.
private final class Rights {
    var all = ReplyRights()

    func add(_ request: OpenRequest) { all.add(request) }
    func remove(_ request: OpenRequest) -> Bool { all.remove(request) }
    func removeAll(_ request: OpenRequest) { all.removeAll(request) }
}

@Suite struct RequestsTests {
    private let bench = Bench()

    private func request(_ number: UInt64, of peer: Peer, waiting: Int = 1) throws -> OpenRequest {
        let batch = RequestBatch(requester: peer.id, correlations: [id(number)])
        return OpenRequest(id(number), in: batch, of: try #require(peer.session), waitingCount: waiting)
    }

    @Test func aRequestIsOverWhenNobodyHasItAndNobodyWillBeHandedIt() throws {
        let request = try request(1, of: bench.open(1), waiting: 2)
        #expect(!request.isOver)
        request.handed(to: SessionID(5))
        request.handed(to: SessionID(6))
        #expect(request.waitingCount == 0 && request.responders == [SessionID(5), SessionID(6)] && !request.isOver)
        request.taken(from: SessionID(7))
        request.taken(from: SessionID(5))
        #expect(!request.isOver)
        request.taken(from: SessionID(6))
        #expect(request.isOver)
    }

    @Test func aRightIsUsedUpOnce() throws {
        let request = try request(1, of: bench.open(1))
        let rights = Rights()
        #expect(rights.all.isEmpty && !rights.all.hasAny(of: SessionID(1)))
        rights.add(request)
        #expect(rights.all.count == 1 && rights.all.hasAny(of: SessionID(1)))
        #expect(rights.all.request(id(1), of: SessionID(1)) === request)
        #expect(
            rights.all.request(id(1), of: SessionID(2)) == nil && rights.all.request(id(2), of: SessionID(1)) == nil)
        #expect(rights.remove(request))
        #expect(!rights.remove(request))
        #expect(rights.all.isEmpty && !rights.all.hasAny(of: SessionID(1)))
    }

    @Test func whoIsHandedARequestTwiceMayAnswerTwice() throws {
        let request = try request(1, of: bench.open(1))
        let rights = Rights()
        rights.add(request)
        rights.add(request)
        #expect(rights.all.count == 1 && rights.all.requests.count == 1)
        #expect(rights.remove(request) && rights.remove(request))
        #expect(!rights.remove(request) && rights.all.isEmpty)
        rights.add(request)
        rights.add(request)
        rights.removeAll(request)
        #expect(rights.all.isEmpty)
    }

    @Test func requestsOfTheSameCorrelationAreToldApartByWhoAsked() throws {
        let (first, second) = (try request(1, of: bench.open(1)), try request(1, of: bench.open(2)))
        let rights = Rights()
        rights.add(second)
        rights.add(first)
        #expect(rights.all.count == 2)
        #expect(rights.all.requests.map(\.requester.id) == [SessionID(1), SessionID(2)], "always in the same order")
        rights.removeAll(first)
        #expect(rights.all.request(id(1), of: SessionID(2)) === second && !rights.all.hasAny(of: SessionID(1)))
    }
}
