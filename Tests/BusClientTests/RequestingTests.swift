import BusTesting
import BusTransport
import BusWire
import Testing

@testable import BusClient

@Suite(.timeLimit(.minutes(1))) struct RequestingTests {
    @Test func `a request is answered, and who asked and who answered know what belongs together`() async throws {
        let bus = try TestBus()
        let server = try await bus.connect("server")
        let client = try await bus.connect("client")
        _ = try await server.reply(to: "time.*") { request in
            #expect(request.isAnswerable && !request.isCancelled)
            return OutgoingEvent("\(request.event.text) \(request.event.id)", headers: [EventHeader("k", "v")])
        }
        for text in ["a", "b"] {
            let reply = try await client.request(text, to: "time.now")
            #expect(reply.text == "\(text) \(reply.event.causation ?? .zero)")
            #expect(reply.event.correlation == reply.event.causation)
            #expect(reply.publisher.name == "server")
            #expect(reply.event.headers == [EventHeader("k", "v")])
            #expect(!reply.hasMore && reply.failure == nil)
        }
        var event = OutgoingEvent("c")
        (event.id, event.correlation) = (.random(), .random())
        let reply = try await client.request(event, to: "time.now")
        #expect(reply.text == "c \(event.id ?? .zero)" && reply.event.correlation == event.correlation)
        #expect(try await client.openRequests() == 0)
        #expect(await client.run { $0.core.requesting.openCount } == 0)
        await client.close()
        await server.close()
    }

    @Test func `many requests at a time, from tasks, from run and from handlers, each get their own answer`()
        async throws
    {
        let bus = try TestBus()
        let server = try await bus.connect("server")
        let client = try await bus.connect("client")
        _ = try await server.reply(to: "double") { OutgoingEvent("\((Int($0.event.text) ?? 0) * 2)") }
        // A responder that asks another one, on its own connection too.
        _ = try await server.reply(to: "quadruple") { [unowned server] request in
            let doubled = try await server.request(OutgoingEvent(request.event.text), to: "double")
            return OutgoingEvent(try await server.request(OutgoingEvent(doubled.text), to: "double").text)
        }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<200 {
                group.addTask {
                    let topic = number % 2 == 0 ? "double" : "quadruple"
                    let reply = try await client.request("\(number)", to: topic)
                    #expect(reply.text == "\(number * (number % 2 == 0 ? 2 : 4))")
                }
            }
            try await group.waitForAll()
        }
        let doubled = try await client.run { client in
            var texts: [String] = []
            for number in 0..<50 { texts.append(try await client.request("\(number)", to: "double").text) }
            return texts
        }
        #expect(doubled == (0..<50).map { "\($0 * 2)" })
        let answers = Noted([String]())
        _ = try await client.subscribe("ask") { arrival in
            guard case .batch(let batch) = arrival else { return }
            for event in batch {
                let text = event.text
                Task {
                    let reply = try await client.request(text, to: "double").text
                    answers.change { $0.append(reply) }
                }
            }
        }
        for number in 0..<10 { try await client.publish("\(number)", to: "ask") }
        await eventually { answers.value.count == 10 }
        #expect(Set(answers.value) == Set((0..<10).map { "\($0 * 2)" }))
        #expect(try await client.openRequests() == 0)
        await client.close()
        await server.close()
    }

    @Test func `nobody to answer is an answer at once`() async throws {
        let bus = try TestBus()
        let client = try await bus.connect()
        // Somebody listens, but doesn't answer.
        let listener = try await client.subscribe("a")
        // Nobody's time limit has passed: that would be another error.
        for _ in 0..<5 {
            await #expect { try await client.request("x", to: "a", patient { _ in }) } throws: {
                isError($0, "noResponders")
            }
        }
        try await client.publish("after", to: "a")
        #expect(try await listener.account(upTo: 1).texts == ["after"])
        #expect(await client.run { $0.core.requesting.openCount } == 0)
        await client.close()
    }

    @Test func `an error answer is thrown by request, and an element of requests`() async throws {
        let bus = try TestBus()
        let client = try await bus.connect()
        struct Trouble: Error, CustomStringConvertible { let description = "no such user" }
        _ = try await client.reply(to: "user") { _ in throw Trouble() }
        await #expect { try await client.request("x", to: "user") } throws: {
            isError($0, "replyFailed") && "\($0)" == "no such user"
        }
        var failures: [String?] = []
        for try await reply in client.requests(OutgoingEvent("x"), to: "user") { failures.append(reply.failure) }
        #expect(failures == ["no such user"])
        await client.close()
    }

    @Test func `several answer, as many as are wanted are taken, and the rest is told`() async throws {
        let bus = try TestBus()
        let client = try await bus.connect()
        let cancelled = Noted(0)
        for name in ["a", "b", "c"] { _ = try await client.reply(to: "who") { _ in OutgoingEvent(name) } }
        let silent = try await bus.connect("silent")
        let slow = try await silent.reply(to: "who") { request in
            do { try await Task.sleep(for: .seconds(60)) } catch {
                #expect(request.isCancelled)
                cancelled.change { $0 += 1 }
                throw error
            }
            return OutgoingEvent("late")
        }
        var texts: [String] = []
        for try await reply in client.requests(OutgoingEvent("?"), to: "who", patient { $0.replies = 3 }) {
            texts.append(reply.text)
        }
        #expect(texts.sorted() == ["a", "b", "c"])
        await eventually { cancelled.value == 1 }
        // Without the slow one, everyone's answer is all there is, however many are wanted.
        await slow.cancel()
        texts = []
        for try await reply in client.requests(OutgoingEvent("?"), to: "who", patient { $0.replies = 10 }) {
            texts.append(reply.text)
        }
        #expect(texts.sorted() == ["a", "b", "c"])
        #expect(try await client.openRequests() == 0)
        await silent.close()
        await client.close()
    }

    @Test func `time that is over ends a request, and its responder hears of it`() async throws {
        let bus = try TestBus()
        let client = try await bus.connect()
        let cancelled = Noted(0)
        for _ in 0..<2 {
            _ = try await client.reply(to: "slow") { request in
                guard request.event.text != "quick" else { return OutgoingEvent("here") }
                do { try await Task.sleep(for: .seconds(60)) } catch { cancelled.change { $0 += 1 } }
                return OutgoingEvent("late")
            }
        }
        await #expect {
            try await client.request("x", to: "slow", patient { $0.timeout = .milliseconds(700) })
        } throws: { isError($0, "timedOut") }
        await eventually { cancelled.value == 2 }
        #expect(try await client.openRequests() == 0)
        // Some came: then the end of the time is just the end.
        let partly = try await client.reply(to: "slow") { _ in OutgoingEvent("first") }
        var texts: [String] = []
        let wanted = patient {
            $0.timeout = .milliseconds(700)
            $0.replies = 3
        }
        for try await reply in client.requests(OutgoingEvent("x"), to: "slow", wanted) { texts.append(reply.text) }
        #expect(texts == ["first"])
        await partly.cancel()
        await client.close()
    }

    @Test func `a streamed answer comes in parts, in order, to its last`() async throws {
        let bus = try TestBus()
        let client = try await bus.connect()
        let server = try await bus.connect("server")
        let cancelled = Noted(0)
        _ = try await server.reply(to: "count") { request in
            do {
                for number in 0..<(Int(request.event.text) ?? 0) { try await request.send(OutgoingEvent("\(number)")) }
            } catch {
                cancelled.change { $0 += 1 }
                throw error
            }
            return OutgoingEvent("end")
        }
        var texts: [String] = []
        for try await reply in client.requests(OutgoingEvent("2000"), to: "count") {
            #expect(reply.hasMore == (reply.text != "end"))
            texts.append(reply.text)
        }
        #expect(texts == (0..<2000).map { "\($0)" } + ["end"])
        // One answer: the first part, and the rest isn't wanted.
        let first = try await client.request("1000000000", to: "count")
        #expect(first.text == "0" && first.hasMore)
        await eventually { cancelled.value == 1 }
        // Leaving the loop says the same.
        for try await reply in client.requests(OutgoingEvent("1000000000"), to: "count") {
            if reply.text == "5" { break }
        }
        await eventually { cancelled.value == 2 }
        #expect(try await client.openRequests() == 0)
        await server.close()
        await client.close()
    }

    @Test func `a responder that is gone is told at once, before an answer and within one`() async throws {
        let bus = try TestBus()
        let client = try await bus.connect()
        for parts in [0, 1] {
            let server = try await bus.connect("server")
            let isAsked = Noted(false)
            let received = Noted(0)
            _ = try await server.reply(to: "a") { request in
                for _ in 0..<parts { try await request.send(OutgoingEvent("part")) }
                isAsked.change { $0 = true }
                try await Task.sleep(for: .seconds(60))
                return OutgoingEvent("never")
            }
            let asking = Task {
                let replies = client.requests(OutgoingEvent("x"), to: "a", patient { _ in })
                for try await _ in replies { received.change { $0 += 1 } }
            }
            await eventually { isAsked.value && received.value == parts }
            let start = ContinuousClock.now
            await server.close()
            await #expect { try await asking.value } throws: { isError($0, "responderGone") }
            #expect(ContinuousClock.now - start < .seconds(5))
        }
        await client.close()
    }

    @Test func `cancelling the task that asks, at any moment, leaves nothing behind`() async throws {
        let bus = try TestBus()
        let client = try await bus.connect()
        let server = try await bus.connect("server")
        _ = try await server.reply(to: "a") { request in
            for _ in 0..<3 { await Task.yield() }
            return OutgoingEvent(request.event.text)
        }
        for round in 0..<100 {
            let asking = (0..<3).map { number in Task { try await client.request("\(number)", to: "a").text } }
            for _ in 0..<round % 10 { await Task.yield() }
            if round % 7 == 0 { try await Task.sleep(for: .microseconds(50 * (round % 20))) }
            asking[1].cancel()
            #expect(try await asking[0].value == "0")
            #expect(try await asking[2].value == "2")
            do { #expect(try await asking[1].value == "1") } catch { #expect(isError(error, "cancelled")) }
        }
        #expect(await client.run { $0.core.requesting.openCount } == 0)
        try await eventually { try await client.openRequests() == 0 }
        await server.close()
        await client.close()
    }

    @Test func `what can't be asked is refused before it is`() async throws {
        let bus = try TestBus()
        let client = try await bus.connect()
        var kept = OutgoingEvent("x")
        kept.retains = true
        await #expect { try await client.request(kept, to: "a") } throws: { isError($0, "invalid") }
        await #expect { try await client.request("x", to: "$reply.1") } throws: { isError($0, "badName") }
        await #expect { try await client.publish("x", to: "$reply.1") } throws: { isError($0, "badName") }
        _ = try await client.reply(to: "a") { _ in
            try await Task.sleep(for: .seconds(60))
            return OutgoingEvent("never")
        }
        var same = OutgoingEvent("x")
        same.correlation = .random()
        let first = Task { [same] in try await client.request(same, to: "a") }
        await eventually { await client.run { $0.core.requesting.openCount } == 1 }
        await #expect { try await client.request(same, to: "a") } throws: { isError($0, "invalid") }
        first.cancel()
        await #expect { try await first.value } throws: { isError($0, "cancelled") }
        await client.close()
    }

    @Test func `closing ends every request with the reason`() async throws {
        let bus = try TestBus()
        let client = try await bus.connect()
        let server = try await bus.connect("server")
        let asked = Noted(0)
        let cancelled = Noted(0)
        _ = try await server.reply(to: "a") { _ in
            asked.change { $0 += 1 }
            do { try await Task.sleep(for: .seconds(60)) } catch { cancelled.change { $0 += 1 } }
            return OutgoingEvent("never")
        }
        let asking = (0..<10).map { _ in Task { try await client.request("x", to: "a", patient { _ in }) } }
        await eventually { asked.value == 10 }
        await client.close()
        for task in asking { await #expect { try await task.value } throws: { isError($0, "closed") } }
        await #expect { try await client.request("x", to: "a") } throws: { isError($0, "closed") }
        await eventually { cancelled.value == 10 }
        await server.close()
    }
}
