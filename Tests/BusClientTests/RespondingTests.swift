import BusTesting
import BusTransport
import BusWire
import Testing

@testable import BusClient

@Suite(.timeLimit(.minutes(1))) struct RespondingTests {
    private func event(_ text: String, id: BusUUID) -> OutgoingEvent {
        var event = OutgoingEvent(text)
        event.id = id
        return event
    }

    private func group(_ change: (inout SubscribeOptions) -> Void = { _ in }) -> SubscribeOptions {
        var options = SubscribeOptions()
        options.group = "servers"
        change(&options)
        return options
    }

    @Test func `a request that comes again is answered from before, its parts too`() async throws {
        let bus = try TestBus()
        let client = try await bus.connect()
        let calls = Noted(0)
        _ = try await client.reply(to: "a") { request in
            let call = calls.change { calls in
                calls += 1
                return calls
            }
            for number in 0..<3 { try await request.send(OutgoingEvent("\(call).\(number)")) }
            return OutgoingEvent("\(call) end")
        }
        let id = BusUUID.random()
        for _ in 0..<3 {
            var texts: [String] = []
            for try await reply in client.requests(event("x", id: id), to: "a") { texts.append(reply.text) }
            #expect(texts == ["1.0", "1.1", "1.2", "1 end"])
        }
        #expect(try await client.request(OutgoingEvent("y"), to: "a").text == "2.0")
        await client.close()
    }

    @Test func `a request that comes again while it is worked on waits for the same call`() async throws {
        let bus = try TestBus()
        let server = try await bus.connect("server")
        let isHolding = Noted(true)
        let calls = Noted(0)
        _ = try await server.reply(to: "a") { request in
            calls.change { $0 += 1 }
            try await request.send(OutgoingEvent("part"))
            while isHolding.value { try await Task.sleep(for: .milliseconds(1)) }
            return OutgoingEvent("end")
        }
        let id = BusUUID.random()
        var asking: [Task<[String], any Error>] = []
        var clients: [BusConnection] = []
        for number in 0..<4 {
            let client = try await bus.connect("client \(number)")
            clients.append(client)
            asking.append(
                Task {
                    var texts: [String] = []
                    let replies = client.requests(self.event("x", id: id), to: "a")
                    for try await reply in replies { texts.append(reply.text) }
                    return texts
                })
        }
        try await eventually { try await server.openRequests() == 4 }
        // One of them loses interest: the call goes on for the others.
        asking[0].cancel()
        _ = await asking[0].result
        try await eventually { try await server.openRequests() == 3 }
        isHolding.change { $0 = false }
        for task in asking[1...] { #expect(try await task.value == ["part", "end"]) }
        #expect(calls.value == 1)
        for client in clients + [server] { await client.close() }
    }

    @Test func `a call that was cancelled and didn't mind serves who comes again, one that gave up is made anew`()
        async throws
    {
        let bus = try TestBus()
        let server = try await bus.connect("server")
        let client = try await bus.connect("client")
        let calls = Noted([String]())
        let isHolding = Noted(true)
        _ = try await server.reply(to: "a") { request in
            calls.change { $0.append(request.event.text) }
            let isStubborn = request.event.text == "stubborn"
            while isHolding.value {
                do { try await Task.sleep(for: .milliseconds(1)) } catch {
                    guard isStubborn else {
                        // It takes its time to give up: who comes again comes before.
                        while isHolding.value { await Task.yield() }
                        throw error
                    }
                    await Task.yield()
                }
            }
            return OutgoingEvent("done")
        }
        var options = RequestOptions()
        options.timeout = .milliseconds(30)
        options.retry = RetryPolicy(attempts: 1000, backoffMin: .milliseconds(1), backoffMax: .milliseconds(1))
        for (text, count) in [("stubborn", 1), ("meek", 2)] {
            isHolding.change { $0 = true }
            let asking = Task { [options] in try await client.request(OutgoingEvent(text), to: "a", options).text }
            await eventually { calls.value.contains(text) }
            try await eventually { try await server.total("requests_cancelled", of: .status) > 0 }
            // Asked again at least once.
            try await eventually { try await server.openRequests() == 1 }
            isHolding.change { $0 = false }
            #expect(try await asking.value == "done")
            #expect(calls.value.count { $0 == text } <= count)
        }
        await client.close()
        await server.close()
    }

    @Test func `a second answer on a one-shot right reaches nobody, and harms nothing`() async throws {
        let bus = try TestBus()
        let notices = Noted([String]())
        let server = try await bus.connect("server") { options in
            options.onNotice = { notice in notices.change { $0.append("\(notice)") } }
        }
        let client = try await bus.connect("client")
        _ = try await server.reply(to: "a") { request in
            // Past the handler's end, as a program with a fault might.
            Task {
                for _ in 0..<3 {
                    await Task.yield()
                    try? await request.send(OutgoingEvent("behind"))
                }
            }
            return OutgoingEvent("answer")
        }
        for _ in 0..<50 {
            let text = try await client.request("x", to: "a").text
            #expect(text == "answer" || text == "behind")
        }
        #expect(try await server.openRequests() == 0)
        #expect(notices.value.isEmpty)
        await client.close()
        await server.close()
    }

    @Test func `so many handlers as allowed run at a time, and the others wait`() async throws {
        let bus = try TestBus()
        let client = try await bus.connect()
        let running = Noted((now: 0, most: 0))
        var options = SubscribeOptions()
        options.parallel = 3
        _ = try await client.reply(to: "a", options) { request in
            running.change { $0 = ($0.now + 1, max($0.most, $0.now + 1)) }
            try await Task.sleep(for: .milliseconds(2))
            running.change { $0.now -= 1 }
            return OutgoingEvent(request.event.text)
        }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<30 {
                group.addTask {
                    let text = try await client.request("\(number)", to: "a").text
                    #expect(text == "\(number)")
                }
            }
            try await group.waitForAll()
        }
        #expect(running.value.most == 3 && running.value.now == 0)
        await client.close()
    }

    @Test func `an event that is published rather than asked is handled, and its answer goes nowhere`() async throws {
        let bus = try TestBus()
        let client = try await bus.connect()
        let handled = Noted([String]())
        _ = try await client.reply(to: "a", group()) { request in
            #expect(request.isAnswerable == (request.event.text == "asked"))
            handled.change { $0.append(request.event.text) }
            try await request.send(OutgoingEvent("part"))
            return OutgoingEvent("answer")
        }
        try await client.publish("published", to: "a")
        await eventually { handled.value == ["published"] }
        #expect(try await client.request("asked", to: "a").text == "part")
        await client.close()
    }

    @Test func `a group's member that is gone leaves its requests to another, unless it had answered`() async throws {
        let bus = try TestBus()
        let client = try await bus.connect("client")
        let mortal = try await bus.connect("mortal")
        let asked = Noted([String]())
        _ = try await mortal.reply(to: "a", group()) { request in
            asked.change { $0.append(request.event.text) }
            guard request.event.text == "first" else {
                try await Task.sleep(for: .seconds(60))
                return OutgoingEvent("never")
            }
            return OutgoingEvent("mortal")
        }
        #expect(try await client.request("first", to: "a").text == "mortal")
        let asking = (0..<5).map { number in
            Task { try await client.request("\(number)", to: "a").text }
        }
        await eventually { asked.value.count == 6 }
        let heir = try await bus.connect("heir")
        _ = try await heir.reply(to: "a", group()) { request in
            #expect(request.event.attempt == 2)
            return OutgoingEvent("heir \(request.event.text)")
        }
        await mortal.run { $0.core.connection?.close(flushing: false) }
        for (number, task) in asking.enumerated() { #expect(try await task.value == "heir \(number)") }
        await mortal.close()
        await heir.close()
        await client.close()
    }

    @Test func `cancel gives everything back at once, finish answers what is under way first`() async throws {
        let bus = try TestBus()
        let client = try await bus.connect("client")
        let server = try await bus.connect("server")
        let asked = Noted(0)
        let isHolding = Noted(true)
        let handler: @Sendable (Request) async throws -> OutgoingEvent = { request in
            asked.change { $0 += 1 }
            while isHolding.value { try await Task.sleep(for: .milliseconds(1)) }
            return OutgoingEvent("done")
        }
        let shared = group { $0.parallel = 2 }
        var alone = shared
        alone.group = nil
        for (options, isFinishing) in [(shared, false), (shared, true), (alone, false), (alone, true)] {
            asked.change { $0 = 0 }
            isHolding.change { $0 = true }
            let responder = try await server.reply(to: "a", options, handler: handler)
            let asking = (0..<4).map { _ in Task { try await client.request("x", to: "a").text } }
            await eventually { asked.value == 2 }
            if isFinishing {
                let finishing = Task { await responder.finish() }
                await eventually { await server.run { _ in responder.state.isFinishing } }
                isHolding.change { $0 = false }
                await finishing.value
            } else {
                await responder.cancel()
            }
            var texts: [String] = []
            for task in asking {
                do { texts.append(try await task.value) } catch { #expect(isError(error, "responderGone"), "\(error)") }
            }
            #expect(texts == (isFinishing ? ["done", "done"] : []))
            await #expect { try await client.request("x", to: "a") } throws: { isError($0, "noResponders") }
        }
        await client.close()
        await server.close()
    }

    @Test func `an answer that is too long becomes an error answer`() async throws {
        let bus = try TestBus()
        let client = try await bus.connect()
        struct Long: Error, CustomStringConvertible { let description = String(repeating: "é", count: 5000) }
        _ = try await client.reply(to: "long") { request in
            if request.event.text == "throw" { throw Long() }
            return OutgoingEvent([UInt8](repeating: 0, count: (1 << 20) + 1))
        }
        await #expect { try await client.request("x", to: "long") } throws: {
            isError($0, "replyFailed") && "\($0)".contains("at most 1048576")
        }
        await #expect { try await client.request("throw", to: "long") } throws: {
            isError($0, "replyFailed") && "\($0)".utf8.count == 1024
        }
        await client.close()
    }

    @Test func `seals to answer with are kept within a bound, however many ask`() async throws {
        let bus = try TestBus()
        let server = try await bus.connect("server")
        _ = try await server.reply(to: "a") { OutgoingEvent($0.event.text) }
        for round in 0..<40 {
            let clients = try await withThrowingTaskGroup(of: BusConnection.self) { group in
                for number in 0..<10 {
                    group.addTask {
                        let client = try await bus.connect()
                        #expect(try await client.request("\(round).\(number)", to: "a").text == "\(round).\(number)")
                        return client
                    }
                }
                var all: [BusConnection] = []
                for try await one in group { all.append(one) }
                return all
            }
            for client in clients { await client.close() }
        }
        #expect(await server.run { $0.core.publishing.openSeals.count } <= Publishing.replySealsMax)
        #expect(await server.run { $0.core.publishing.openSeals.count } > Publishing.replySealsMax / 2)
        // The longest unused was closed; who is still there is answered all the same.
        let again = try await bus.connect()
        for text in ["x", "y"] { #expect(try await again.request(text, to: "a").text == text) }
        await again.close()
        await server.close()
    }

    @Test func `a responder comes back with its connection, and goes when it is forgotten`() async throws {
        let bus = try TestBus()
        let relay = try Relay(bus.directory.path + "/relay", to: bus.socket)
        defer { relay.stop() }
        let client = try await bus.connect("client")
        weak var state: ResponderState?
        do {
            let server = try await bus.connect("server", through: relay.path)
            let responder = try await server.reply(to: "a") { OutgoingEvent($0.event.text) }
            state = responder.state
            await relay.cut()
            await eventually { (try? await client.request("x", to: "a").text) == "x" }
        }
        await eventually { state == nil }
        await eventually {
            do { return try await client.request("x", to: "a").text.isEmpty } catch {
                return isError(error, "noResponders")
            }
        }
        await client.close()
    }

    @Test func `what waits for a handler when the connection is lost is left to whoever asks again`() async throws {
        let bus = try TestBus()
        let relay = try Relay(bus.directory.path + "/relay", to: bus.socket)
        defer { relay.stop() }
        let client = try await bus.connect("client")
        let server = try await bus.connect("server", through: relay.path)
        let calls = Noted([String]())
        let isHolding = Noted(true)
        var options = SubscribeOptions()
        options.parallel = 1
        _ = try await server.reply(to: "a", options) { request in
            calls.change { $0.append(request.event.text) }
            while isHolding.value { await Task.yield() }
            return OutgoingEvent("answer \(request.event.text)")
        }
        var retrying = RequestOptions()
        retrying.timeout = .seconds(20)
        retrying.retry = RetryPolicy(attempts: 1000, backoffMin: .milliseconds(5), backoffMax: .milliseconds(20))
        let asking = (0..<5).map { [retrying] number in
            Task { try await client.request(OutgoingEvent("\(number)"), to: "a", retrying).text }
        }
        try await eventually { try await client.openRequests() == 5 }
        await relay.cut()
        isHolding.change { $0 = false }
        for (number, task) in asking.enumerated() { #expect(try await task.value == "answer \(number)") }
        // Each was done once, though asked for twice.
        #expect(calls.value.sorted() == (0..<5).map { "\($0)" })
        await client.close()
        await server.close()
    }
}
