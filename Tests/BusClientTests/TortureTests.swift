import BusTesting
import BusWire
import Testing

@testable import BusClient

/// Several publishers and subscribers on one bus, and connections that break: order and accounts hold.
@Suite(.timeLimit(.minutes(2))) struct TortureTests {
    private static let publisherCount = 3
    private static let eventCount = 4000

    /// Publishes "publisher number" on the topic t.PUBLISHER, in bursts of random length.
    private func publish(_ publisher: Int, on client: BusConnection) async throws {
        var number = 0
        while number < TortureTests.eventCount {
            let burst = min(Int.random(in: 1...200), TortureTests.eventCount - number)
            let from = number
            try await client.run { client in
                for number in from..<from + burst {
                    try await client.publishWithoutReceipt(
                        OutgoingEvent("\(publisher) \(number)"), to: "t.\(publisher)")
                }
            }
            number += burst
            if burst % 3 == 0 { try await client.publish("\(publisher) mark", to: "marks") }
        }
        await client.drain()
    }

    /// What a subscriber saw of each publisher.
    private struct Seen: Sendable {
        var numbers = [[Int]](repeating: [], count: TortureTests.publisherCount)
        var missed: UInt64 = 0
        var unknown = 0
    }

    /// Reads until the end, which comes last of all and is therefore never dropped for being old.
    private func read(_ subscription: Subscription, isSlow: Bool) async throws -> Seen {
        var seen = Seen()
        for try await arrival in subscription {
            switch arrival {
            case .missed(let missed):
                seen.missed += missed.count ?? 0
                if missed.count == nil { seen.unknown += 1 }
            case .caughtUp: Issue.record("nothing stored was asked for")
            case .event(let event):
                let words = event.text.split(separator: " ")
                if words[0] == "end" {
                    return seen
                } else if let publisher = Int(words[0]), let number = Int(words[1]) {
                    seen.numbers[publisher].append(number)
                }
                if isSlow, Int.random(in: 0..<500) == 0 { try await Task.sleep(for: .milliseconds(1)) }
            }
        }
        return seen
    }

    @Test func `with stall nothing is lost or out of order, with drop-oldest the account is exact`() async throws {
        let bus = try TestBus()
        var patient = SubscribeOptions()
        patient.overflow = .stall
        patient.stallTime = .seconds(60)
        patient.creditEvents = 500
        patient.queueEventCount = 500
        var hasty = SubscribeOptions()
        hasty.creditEvents = 300
        hasty.queueEventCount = 300
        let readers = try await (0..<3).asyncMap { try await bus.connect("reader \($0)") }
        let stalling = try await readers[0].subscribe("t.*", patient)
        let dropping = try await readers[1].subscribe("t.*", hasty)
        let shared = try await readers[0].subscribe("t.*", hasty)
        let reading = Task { try await read(stalling, isSlow: true) }
        let skimming = Task { try await read(dropping, isSlow: true) }
        let sharing = Task { try await read(shared, isSlow: false) }
        let writers = try await (0..<TortureTests.publisherCount).asyncMap { try await bus.connect("writer \($0)") }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for (number, writer) in writers.enumerated() {
                group.addTask { try await publish(number, on: writer) }
            }
            try await group.waitForAll()
        }
        try await writers[0].publish("end", to: "t.end")
        let all = Array(0..<TortureTests.eventCount)
        let whole = try await reading.value
        #expect(whole.missed == 0 && whole.unknown == 0)
        for numbers in whole.numbers { #expect(numbers == all) }
        for seen in [try await skimming.value, try await sharing.value] {
            for numbers in seen.numbers { #expect(zip(numbers, numbers.dropFirst()).allSatisfy { $0 < $1 }) }
            let received = seen.numbers.reduce(0) { $0 + $1.count }
            #expect(received + Int(seen.missed) == TortureTests.publisherCount * TortureTests.eventCount)
            #expect(seen.unknown == 0)
        }
        for client in readers + writers { await client.close() }
    }

    @Test func `publishers whose connections break lose nothing, keep their order and repeat nothing`() async throws {
        let bus = try TestBus()
        let relay = try Relay(bus.directory.path + "/relay", to: bus.socket, pieceMax: 3000)
        defer { relay.stop() }
        let reader = try await bus.connect("reader")
        var patient = SubscribeOptions()
        patient.overflow = .stall
        patient.stallTime = .seconds(60)
        let subscription = try await reader.subscribe("t.*", patient)
        let reading = Task { try await read(subscription, isSlow: false) }
        let writers = try await (0..<TortureTests.publisherCount).asyncMap {
            try await bus.connect("writer \($0)", through: relay.path)
        }
        let cutting = Task {
            for _ in 0..<12 {
                try await Task.sleep(for: .milliseconds(Int.random(in: 5...60)))
                await relay.cut()
            }
        }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for (number, writer) in writers.enumerated() {
                group.addTask { try await publish(number, on: writer) }
            }
            try await group.waitForAll()
        }
        try await cutting.value
        try await writers[0].publish("end", to: "t.end")
        let seen = try await reading.value
        #expect(seen.missed == 0)
        // What was sent again comes once all the same.
        for numbers in seen.numbers { #expect(numbers == Array(0..<TortureTests.eventCount)) }
        for client in writers + [reader] { await client.close() }
    }
}

extension Sequence {
    /// Maps one after the other.
    fileprivate func asyncMap<T>(_ transform: (Element) async throws -> T) async rethrows -> [T] {
        var results: [T] = []
        for element in self { results.append(try await transform(element)) }
        return results
    }
}
