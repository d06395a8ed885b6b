import BusTesting
import BusWire
import Testing

@testable import BusClient

extension WindowedPublisher {
    /// Publishes a number's bytes.
    func publish(_ number: UInt64) throws(BusError) {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 8, alignment: 8)
        defer { buffer.deallocate() }
        buffer.storeBytes(of: number, as: UInt64.self)
        try publish(UnsafeRawBufferPointer(buffer))
    }
}

@Suite(.timeLimit(.minutes(1))) struct WindowedPublisherTests {
    @Test(arguments: [true, false])
    func `a stream of events is confirmed whole and arrives in order`(receipts: Bool) async throws {
        let bus = try TestBus()
        let reader = try await bus.connect("reader")
        let writer = try await bus.connect("writer")
        var options = SubscribeOptions()
        options.overflow = .stall
        options.stallTime = .seconds(30)
        let subscription = try await reader.subscribe("logs", options)
        let count = 100_000
        let work = Task {
            try await writer.run { writer in
                let publisher = try writer.publisher(for: "logs", window: 10_000, receipts: receipts)
                for number in 0..<count {
                    while !publisher.hasRoom { try await publisher.waitForRoom() }
                    try publisher.publish(UInt64(number))
                }
                return try await publisher.finish()
            }
        }
        var next = 0
        loop: for try await arrival in subscription.batches {
            guard case .batch(let batch) = arrival else {
                Issue.record("missed events: \(arrival)")
                break
            }
            for event in batch {
                let number = event.payload.withUnsafeBytes { $0.loadUnaligned(as: UInt64.self) }
                guard number == UInt64(next), event.sequence == UInt64(next + 1) else {
                    Issue.record("\(number) where \(next) is next")
                    break loop
                }
                next += 1
            }
            if next == count { break }
        }
        #expect(next == count)
        let totals = try await work.value
        #expect(totals.confirmedCount == UInt64(count))
        #expect(totals.refusedCount == 0)
        #expect(totals.matchCount == (receipts ? UInt64(count) : 0))
        #expect(totals.lastSequence == (receipts ? UInt64(count) : 0))
        await writer.close()
        await reader.close()
    }

    @Test func `only its own events count, whoever else publishes on the topic`() async throws {
        let bus = try TestBus()
        let client = try await bus.connect()
        let summaries = try await client.run { client in
            let first = try client.publisher(for: "a.b")
            let second = try client.publisher(for: "a.b")
            for _ in 0..<10 {
                try first.publish(1)
                try second.publish(1)
                try await client.publishWithoutReceipt(OutgoingEvent("x"), to: "a.b")
            }
            try second.publish(1)
            try await client.publish("y", to: "a.b")
            return [try await first.finish(), try await second.finish()]
        }
        #expect(summaries.map(\.confirmedCount) == [10, 11])
        await client.close()
    }

    @Test func `while there is no daemon it waits for room, and doesn't spin`() async throws {
        let bus = try TestBus()
        let client = try await bus.connect()
        let turns = Noted(0)
        let work = Task {
            try await client.run { client in
                let publisher = try client.publisher(for: "a.b", window: 20_000)
                for _ in 0..<50_000 {
                    while !publisher.hasRoom {
                        turns.change { $0 += 1 }
                        try await publisher.waitForRoom()
                    }
                    try publisher.publish(1)
                }
                return try await publisher.finish()
            }
        }
        bus.kill()
        // Long enough that a loop would have turned thousands of times.
        try await Task.sleep(for: .milliseconds(100))
        #expect(turns.value < 50)
        try bus.start()
        let summary = try await work.value
        #expect(summary.confirmedCount == 50_000)
        await client.close()
    }

    @Test func `closing the connection ends every wait with the reason`() async throws {
        let bus = try TestBus()
        let client = try await bus.connect { $0.reconnects = true }
        bus.kill()
        let work = Task {
            try await client.run { client in
                let publisher = try client.publisher(for: "a.b", window: 5000)
                while true {
                    while !publisher.hasRoom { try await publisher.waitForRoom() }
                    try publisher.publish(1)
                }
            }
        }
        await eventually { await client.run { $0.core.publishing.heldLength } > 0 }
        await client.close()
        await #expect { try await work.value } throws: { error in
            if case .closed = error as? BusError { true } else { false }
        }
    }
}
