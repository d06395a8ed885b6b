import BusTesting
import BusWire
import Glibc
import Testing

@testable import BusClient

/// What each policy means to whoever subscribes; the daemon's arithmetic has tests of its own.
@Suite(.timeLimit(.minutes(1))) struct OverflowTests {
    private func options(_ policy: OverflowPolicy) -> SubscribeOptions {
        var options = SubscribeOptions()
        options.overflow = policy
        options.creditEvents = 10
        options.queueEventCount = 10
        return options
    }

    @Test func `with drop-newest the first that came are kept, and the rest is told in its place`() async throws {
        let bus = try TestBus()
        let reader = try await bus.connect("reader")
        let writer = try await bus.connect("writer")
        let subscription = try await reader.subscribe("a.b", options(.dropNewest))
        for number in 0..<50 { try await writer.publish("\(number)", to: "a.b") }
        var account = try await subscription.account(upTo: 20)
        #expect(account.texts == (0..<20).map { "\($0)" } && account.missed.isEmpty)
        // Word of the rest comes with what follows it.
        try await writer.publish("after", to: "a.b")
        account = try await subscription.account(upTo: 31)
        #expect(account.texts == ["after"])
        #expect(account.missedCount == 30)
        #expect(account.missed.allSatisfy { $0.reason == .queueFull })
        await reader.close()
        await writer.close()
    }

    @Test func `with latest each topic's newest is kept, and what it took the place of is told`() async throws {
        let bus = try TestBus()
        let reader = try await bus.connect("reader")
        let writer = try await bus.connect("writer")
        let subscription = try await reader.subscribe("a.*", options(.latest))
        for number in 0..<30 {
            for topic in ["a.b", "a.c"] { try await writer.publish("\(topic) \(number)", to: topic) }
        }
        let account = try await subscription.account(upTo: 60)
        #expect(account.texts.count == 12)
        #expect(Set(account.texts.suffix(2)) == ["a.b 29", "a.c 29"])
        #expect(account.missedCount == 48)
        #expect(account.missed.allSatisfy { $0.reason == .superseded })
        await reader.close()
        await writer.close()
    }

    @Test func `with disconnect the sequence ends behind what had come, and says why`() async throws {
        let bus = try TestBus()
        let reader = try await bus.connect("reader")
        let writer = try await bus.connect("writer")
        let subscription = try await reader.subscribe("a.b", options(.disconnect))
        for number in 0..<50 { try await writer.publish("\(number)", to: "a.b") }
        var arrivals = subscription.makeAsyncIterator()
        for number in 0..<10 {
            guard case .event(let event) = try await arrivals.next() else {
                Issue.record("no event \(number)")
                return
            }
            #expect(event.text == "\(number)")
        }
        await #expect {
            while try await arrivals.next() != nil {}
        } throws: { error in
            if case .refused(.queueFull, let why) = error as? BusError { why.contains("queue was full") } else { false }
        }
        // The connection goes on.
        try await reader.publish("x", to: "c")
        await reader.close()
        await writer.close()
    }

    @Test func `a handler whose subscription is ended is told by a notice`() async throws {
        let bus = try TestBus()
        let notices = Noted([String]())
        let reader = try await bus.connect("reader") { options in
            options.onNotice = { notice in notices.change { $0.append("\(notice)") } }
        }
        let writer = try await bus.connect("writer")
        let isBusy = Noted(true)
        _ = try await reader.subscribe("a.b", options(.disconnect)) { _ in
            while isBusy.value { usleep(1000) }
        }
        for number in 0..<50 { try await writer.publish("\(number)", to: "a.b") }
        isBusy.change { $0 = false }
        await eventually { notices.value.count == 1 }
        #expect(notices.value.first?.contains("the subscription to a.b ended") == true)
        await reader.close()
        await writer.close()
    }
}
