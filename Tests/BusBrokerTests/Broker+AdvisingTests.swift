// The daemon's own topics: sealed like everybody's, published by nobody else.

import BusWire
import Testing

@testable import BusBroker

@Suite struct BrokerAdvisingTests {
    private let bench = Bench { $0.announcesSessions = true }

    private func names(_ advisories: [Advisory]) -> [String] {
        advisories.map {
            switch $0 {
            case .sessionOpened(_, _, let name): "+\(name)"
            case .sessionClosed(_, _, let name, _): "-\(name)"
            case .deadLetter(let word): "†\(word.id)"
            }
        }
    }

    @Test func whatCannotBeSaidNowWaitsForTheNextOccasionInItsOrder() {
        bench.hasOwnSeals = false
        _ = (bench.open(1), bench.open(2))
        #expect(bench.advised.isEmpty)
        bench.hasOwnSeals = true
        _ = bench.open(3)
        #expect(bench.advised.map(names) == [["+p1", "+p2", "+p3"]])
    }

    @Test func aTopicWithoutASealIsForgottenLikeAnyOther() {
        bench.hasOwnSeals = false
        _ = bench.open(1)
        #expect(bench.topic("$bus.session.opened") != nil)
        bench.pass(milliseconds: 600_000)
        #expect(bench.topic("$bus.session.opened") == nil)
        bench.hasOwnSeals = true
        _ = bench.open(2)
        #expect(bench.advised.map(names) == [["+p1", "+p2"]])
    }

    @Test func whatWaitsIsBoundedAndTheOldestIsGivenUp() {
        bench.hasOwnSeals = false
        for number in 1...17_000 as ClosedRange<UInt64> {
            let session = SessionID(number)
            bench.broker.handle(.connected(session, PeerIdentity(uid: 1000, gid: 1000)), at: bench.now)
            bench.broker.handle(.authenticated(session, name: "p\(number)"), at: bench.now)
            bench.broker.handle(.disconnected(session), at: bench.now)
        }
        bench.round()
        bench.hasOwnSeals = true
        _ = bench.open(20_000)
        let opened = bench.advised.filter { names($0).first?.hasPrefix("+") == true }
        #expect(opened.joined().count == 16_384)
        #expect(names(opened.first ?? []).first == "+p618" && names(opened.last ?? []).last == "+p20000")
        #expect(opened.allSatisfy { $0.count <= 1024 }, "no batch holds more")
    }

    @Test func nobodyElseMayPublishThere() {
        let peer = bench.open(1)
        for topic in ["$bus.session.opened", "$bus.session.closed", "$bus.other"] {
            #expect(peer.openSeal(topic).errors.map(\.reason) == [.badTopic])
        }
    }

    @Test func theyAreAnnouncedAsTheDaemons() {
        let watcher = bench.open(1)
        watcher.subscribe(1, "$bus.>")
        let effects = bench.round(
            .connected(SessionID(2), PeerIdentity(uid: 1000, gid: 1000)), .authenticated(SessionID(2), name: "p2"))
        #expect(effects.to(watcher).announcements.map(\.publisher) == ["busd"])
        #expect(effects.to(watcher).announcements.map(\.uid) == [bench.broker.configuration.ownIdentity.uid])
        #expect(effects.to(watcher).grants.map(\.description) == ["$bus.session.opened"])
        #expect(effects.to(watcher).deliveries.sequences == [2], "itself it missed: it subscribed after it came")
    }
}
