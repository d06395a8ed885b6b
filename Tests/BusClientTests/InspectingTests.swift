import BusTesting
import BusWire
import Testing

@testable import BusClient

@Suite(.timeLimit(.minutes(1))) struct InspectingTests {
    private func names(_ rows: [[InspectedValue]], _ column: String) -> [InspectedValue.Value] {
        rows.flatMap { $0.filter { $0.name == column }.map(\.value) }
    }

    @Test func `all pages are one answer, also when several are asked at a time`() async throws {
        let bus = try TestBus()
        let client = try await bus.connect()
        let count = 3000
        try await client.run { client in
            for number in 0..<count {
                try await client.publishWithoutReceipt(OutgoingEvent("x"), to: "topic.number.\(number)")
            }
        }
        await client.drain()
        let answers = try await withThrowingTaskGroup(of: [[InspectedValue]].self) { group in
            for _ in 0..<4 { group.addTask { try await client.inspect(.topics) } }
            var all: [[[InspectedValue]]] = []
            for try await one in group { all.append(one) }
            return all
        }
        let expected = Set((0..<count).map { "\(InspectedValue.Value.text("topic.number.\($0)"))" })
        for rows in answers { #expect(Set(names(rows, "topic").map { "\($0)" }).isSuperset(of: expected)) }
        await client.close()
    }

    @Test func `a key names one row, and an unknown one is refused by name`() async throws {
        let bus = try TestBus()
        let client = try await bus.connect("me")
        _ = try await client.subscribe("a.>")
        let sessions = try await client.inspect(.sessions)
        #expect(names(sessions, "name") == [.text("me")])
        guard case .number(let number) = names(sessions, "session").first else {
            Issue.record("a session without a number")
            return
        }
        #expect(try await client.inspect(.sessions, key: "\(number)").count == 1)
        #expect(names(try await client.inspect(.subscriptions), "filter") == [.text("a.>")])
        #expect(try await client.inspect(.users).count == 1)
        await #expect { try await client.inspect(.topics, key: "no.such") } throws: { error in
            if case .refused(.unknownName, _) = error as? BusError { true } else { false }
        }
        await #expect { try await client.inspect(.topics, key: String(repeating: "x", count: 256)) } throws: { error in
            if case .invalid = error as? BusError { true } else { false }
        }
        await client.close()
    }

    @Test func `questions that are given up leave the others their answers`() async throws {
        let bus = try TestBus()
        let client = try await bus.connect()
        for round in 0..<20 {
            let asking = (0..<5).map { _ in Task { try await client.inspect(.sessions).count } }
            asking[round % 5].cancel()
            for (index, task) in asking.enumerated() where index != round % 5 { #expect(try await task.value == 1) }
            _ = await asking[round % 5].result
        }
        await client.close()
    }
}
