import BusSimulation
import BusWire
import Testing

@testable import BusBroker

@Suite("Events that expire")
struct BrokerExpiringTests {
    private func columns(_ expiries: [Int64]) -> BatchColumns {
        var columns = BatchColumns()
        columns.expiry = .each(expiries)
        return columns
    }

    private func minutes(_ count: Int64, _ bench: Bench) -> Int64 { bench.now.wall + count * 60_000_000 }

    @Test("who takes them too late is told that they expired, and gets the others")
    func live() {
        let bench = Bench()
        let (publisher, reader) = (bench.open(1), bench.open(2))
        reader.subscribe(1, "a", credit: 0)
        let seal = publisher.seal("a")
        let columns = columns([minutes(1, bench), 0, minutes(10, bench), minutes(-1, bench)])
        publisher.send(publisher.batch(seal, events: 4, columns: columns))
        bench.pass(milliseconds: 120_000)
        let got = reader.credit(1, 100)
        #expect(got.deliveries.sequences == [2, 3])
        #expect(got.gaps.map(\.reason) == [.expired])
        #expect(got.gaps.first?.count == 2)
    }

    @Test("moments that no clock holds neither trap nor expire early", arguments: [Int64.min, Int64.max, -1, 1])
    func extremes(word: Int64) {
        let bench = Bench()
        let (publisher, reader) = (bench.open(1), bench.open(2))
        reader.subscribe(1, "a", credit: 100)
        let seal = publisher.seal("a")
        let got = publisher.send(publisher.batch(seal, events: 2, columns: columns([word, minutes(1, bench)])))
        #expect(got.deliveries.sequences == (word == .max ? [1, 2] : [2]))
    }

    @Test("a clock that is set makes nothing expire early, before publishing or after it", arguments: [-1, 1])
    func clock(direction: Int64) {
        let bench = Bench.durable()
        let (publisher, reader) = (bench.open(1), bench.open(2))
        reader.attend("work", "d.a", credit: 0)
        bench.commit()
        let seal = publisher.seal("d.a")
        publisher.send(publisher.batch(seal, columns: columns([minutes(10, bench)])))
        bench.commit()
        bench.now.wall += direction * 86_400_000_000
        publisher.send(publisher.batch(seal, columns: columns([minutes(10, bench)])))
        bench.commit()
        bench.pass(milliseconds: 5 * 60_000)
        #expect(reader.credit(1, 100).deliveries.sequences == [1, 2])
    }

    @Test("a durable subscription keeps them as dead letters where it says so", arguments: [false, true])
    func durable(keeps: Bool) {
        let bench = Bench.durable()
        let (publisher, reader) = (bench.open(1), bench.open(2))
        reader.attend("work", "d.a", credit: 0, settings: [Setting(.deadLettersExpired, keeps ? 1 : 0)])
        let seal = publisher.seal("d.a")
        bench.commit()
        publisher.send(publisher.batch(seal, events: 2, columns: columns([minutes(1, bench), minutes(3, bench)])))
        bench.commit()
        bench.pass(milliseconds: 120_000)
        let got = reader.credit(1, 100)
        #expect(got.deliveries.sequences == [2])
        #expect(got.deadLetters.map(\.reason) == (keeps ? [.expired] : []))
        #expect(got.gaps.map(\.reason) == (keeps ? [] : [.expired]))
        reader.acknowledge(1, 1)
        bench.pass(milliseconds: 200)
        #expect(bench.cursor("work")?.pending == [])
    }

    @Test("after a restart they expire as they would have")
    func restart() {
        let bench = Bench.durable()
        let publisher = bench.open(1)
        publisher.attend("work", "d.a", credit: 0)
        let seal = publisher.seal("d.a")
        bench.commit()
        publisher.send(publisher.batch(seal, events: 2, columns: columns([minutes(1, bench), minutes(30, bench)])))
        bench.commit()
        let next = bench.crashed()
        next.pass(milliseconds: 120_000)
        let got = next.open(1).attend("work") + next.round()
        #expect(got.deliveries.sequences == [2])
    }
}
