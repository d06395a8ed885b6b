// Batches: what is refused, what follows, how it is told.

import BusSimulation
import BusWire
import Testing

@testable import BusBroker

@Suite struct BrokerPublishingTests {
    @Test func receiptsTellPositionCountAndMatches() {
        let bench = Bench()
        let (a, b) = (bench.open(1), bench.open(2))
        a.subscribe(1, "a.*")
        b.subscribe(1, "a.>", credit: 0)
        b.subscribe(2, "b")
        let (x, y) = (a.seal("a.x"), b.seal("a.x"))
        let first = a.send(a.batch(x, events: 3), a.batch(x, events: 2, receipt: false), a.batch(x))
        #expect(
            first.receipts == [
                Receipts(
                    progress: 3,
                    receipts: [
                        Receipt(number: 1, firstSequence: 1, eventCount: 3, liveMatches: 2),
                        Receipt(number: 3, firstSequence: 6, eventCount: 1, liveMatches: 2),
                    ])
            ])
        let second = b.publish(y, events: 10)
        #expect(second.receipts.first?.receipts.first?.firstSequence == 7, "one order per topic, whoever publishes")
    }

    @Test func withoutReceiptOnlyProgressIsTold() {
        let peer = Bench().open(1)
        let seal = peer.seal("a")
        #expect(peer.publish(seal, receipt: false).receipts == [Receipts(progress: 1, receipts: [])])
    }

    @Test func aCounterOutOfOrderIsRefusedAndTheNextRightOneAccepted() {
        let peer = Bench().open(1)
        let seal = peer.seal("a")
        let effects = peer.send(
            peer.batch(seal) { $0.counter = 1 }, peer.batch(seal) { $0.counter = 0 },
            peer.batch(seal) { $0.counter = 0 })
        #expect(effects.kinds == ["error", "error", "receipts"])
        #expect(effects.errors.map(\.reason) == [.counterOutOfOrder, .counterOutOfOrder])
        #expect(effects.errors.map(\.request) == [1, 3])
        #expect(effects.receipts.first?.progress == 3)
        #expect(effects.receipts.first?.receipts.map(\.number) == [2])
    }

    @Test func someoneElsesSealIsUnknown() {
        let bench = Bench()
        let (a, b) = (bench.open(1), bench.open(2))
        let seal = a.seal("a")
        #expect(b.publish(seal).errors.first?.reason == .unknownSeal)
    }

    @Test func aMalformedBatchIsRefusedBeforeTheReceiptsThatCoverIt() {
        let peer = Bench().open(1)
        let seal = peer.seal("a")
        let effects = peer.send(
            peer.batch(seal), peer.batch(seal) { $0.hasBadColumns = true }, peer.batch(seal),
            .publish(Publish(number: 4, wantsReceipt: true, batch: .empty)))
        #expect(effects.kinds == ["error", "error", "receipts"])
        #expect(effects.errors.map(\.reason) == [.malformedBatch, .malformedBatch])
        #expect(effects.errors.map(\.request) == [2, 4])
        #expect(effects.errors.allSatisfy { !$0.isFatal })
        #expect(effects.receipts.first?.receipts.map(\.number) == [1, 3])
        #expect(effects.receipts.first?.progress == 4)
    }

    @Test func onlyASingleEventMayBeLong() {
        let bench = Bench { $0.publishWindow = 16 << 20 }
        let peer = bench.open(1)
        let seal = peer.seal("a")
        #expect(peer.publish(seal, events: 2, payload: Limits.batchLengthMax).errors.first?.reason == .malformedBatch)
        #expect(peer.publish(seal, events: 1, payload: Limits.payloadLengthMax).errors.isEmpty)
        let tooLong = Limits.payloadLengthMax + Limits.batchOverheadMax
        #expect(peer.publish(seal, events: 1, payload: tooLong).errors.first?.reason == .malformedBatch)
    }

    @Test func aNumberOutOfOrderClosesTheConnection() {
        let peer = Bench().open(1)
        _ = peer.seal("a")
        let effects = peer.send(.publish(Publish(number: 2, wantsReceipt: true, batch: .empty)))
        #expect(effects.kinds == ["error", "close"])
        #expect(effects.closes == [.unexpectedFrame])
        #expect(effects.errors.first?.message == "publish 2 where 1 is next")
    }

    @Test func moreThanTheWindowClosesTheConnection() {
        let bench = Bench { $0.publishWindow = 1000 }
        let peer = bench.open(1)
        let seal = peer.seal("a")
        #expect(peer.publish(seal, payload: 5000).closes.isEmpty, "one alone may be longer")
        #expect(peer.send(peer.batch(seal, payload: 400), peer.batch(seal, payload: 300)).closes.isEmpty)
        let effects = peer.send(peer.batch(seal, payload: 600), peer.batch(seal, payload: 600))
        #expect(effects.kinds == ["receipts", "error", "close"])
        #expect(effects.closes == [.windowExceeded])
    }

    @Test func aPublisherThatDoesNotReadIsToldLaterAndItsWindowFills() {
        let bench = Bench { $0.publishWindow = 1000 }
        let peer = bench.open(1)
        let seal = peer.seal("a")
        peer.blocked()
        #expect(peer.publish(seal, payload: 300).isEmpty)
        #expect(peer.publish(seal, payload: 300).isEmpty)
        #expect(peer.drained().receipts.first?.receipts.map(\.number) == [1, 2])
        peer.blocked()
        #expect(peer.publish(seal, payload: 600).isEmpty)
        #expect(peer.publish(seal, payload: 600).closes == [.windowExceeded])
    }

    @Test func noFrameHoldsMoreReceiptsThanOneMay() {
        let peer = Bench().open(1)
        let seal = peer.seal("a")
        peer.blocked()
        let count = Broker.receiptCountMax + 5
        for _ in 0..<count { peer.bench.broker.handle(.received(peer.id, peer.batch(seal)), at: peer.bench.now) }
        let told = peer.drained().receipts
        #expect(told.map(\.receipts.count) == [Broker.receiptCountMax, 5])
        #expect(told.map(\.progress) == [UInt64(Broker.receiptCountMax), UInt64(count)])
    }

    @Test func aTopicsTimeNeverGoesBack() {
        let bench = Bench()
        let peer = bench.open(1)
        peer.subscribe(1, "a")
        let seal = peer.seal("a")
        let before = peer.publish(seal).deliveries.first?.time
        bench.now.wall -= 1_000_000
        #expect(peer.publish(seal).deliveries.first?.time == before)
    }
}

@Suite struct PatienceTests {
    private let bench = Bench { $0.patientCountMax = 3 }

    private func patient(_ frame: Frame) -> Frame {
        guard case .publish(var publish) = frame else { return frame }
        publish.isPatient = true
        return .publish(publish)
    }

    @Test func wordOfAPatientPublishWaitsForItsTimeAndNoLonger() {
        let peer = bench.open(1)
        let seal = peer.seal("a")
        #expect(peer.send(patient(peer.batch(seal))).isEmpty)
        #expect(bench.broker.nextDeadline == bench.now.monotonic + 5_000_000)
        #expect(bench.pass(milliseconds: 4).isEmpty)
        #expect(bench.pass(milliseconds: 1).receipts.first?.progress == 1)
        #expect(bench.broker.nextDeadline == nil)
    }

    @Test func itComesWithWhateverIsToldAnyway() {
        let peer = bench.open(1)
        let seal = peer.seal("a")
        #expect(peer.send(patient(peer.batch(seal))).isEmpty)
        #expect(peer.send(peer.batch(seal)).receipts.first?.receipts.count == 2, "with an impatient one")
        #expect(peer.send(patient(peer.batch(seal))).isEmpty)
        #expect(peer.send(.sync).receipts.first?.progress == 3, "when it asks")
        #expect(peer.send(.sync).isEmpty, "and nothing is left to say")
        for _ in 0..<2 { #expect(peer.send(patient(peer.batch(seal))).isEmpty) }
        #expect(peer.send(patient(peer.batch(seal))).receipts.first?.progress == 6, "when there are several")
        #expect(peer.send(patient(peer.batch(seal)), .goodbye).receipts.first?.progress == 7, "before the end")
    }

    @Test func aRefusalIsNotWaitedFor() {
        let peer = bench.open(1)
        #expect(peer.send(patient(peer.batch(77))).kinds == ["error", "receipts"])
    }

    @Test func whoIsGoneLeavesNoDeadline() {
        let peer = bench.open(1)
        peer.send(patient(peer.batch(peer.seal("a"))))
        peer.leave()
        #expect(bench.broker.nextDeadline == bench.now.monotonic + 600_000_000_000, "only its topic's")
    }
}
