import BusClient
import BusTesting
import Glibc
import Testing

@testable import BusServer
@testable import BusWire

/// Whatever one peer does wrong, it is told by name, and the others go on.
@Suite(.timeLimit(.minutes(1))) struct HandshakeTests {
    /// Runs `body` with a peer, then looks whether the bus still works.
    private func withPeer(_ body: (RawPeer) throws -> Void) async throws {
        let bus = try TestBus()
        let other = try await bus.connect("other")
        let subscription = try await other.subscribe("a.b")
        try body(try RawPeer(bus.socket))
        try await other.publish("still here", to: "a.b")
        var arrivals = subscription.makeAsyncIterator()
        guard case .event(let event) = try await arrivals.next() else {
            Issue.record("the other connection suffers")
            return
        }
        #expect(event.text == "still here")
        await other.close()
    }

    private func header(_ type: UInt8, length: UInt32, fixed: UInt16, flags: UInt8 = 0) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.put(length)
        bytes.put(type)
        bytes.put(flags)
        bytes.put(fixed)
        return bytes
    }

    @Test func `another frame before the hello is refused`() async throws {
        try await withPeer { peer in
            peer.send(.goodbye)
            try peer.expectError(.unexpectedFrame)
        }
    }

    @Test func `another protocol is turned away at once`() async throws {
        try await withPeer { peer in
            peer.send(Array("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".utf8))
            try peer.expectError(.malformedFrame)
        }
    }

    @Test func `a hello of a version to come is refused, naming what is served`() async throws {
        try await withPeer { peer in
            peer.send(try RawPeer.hello(versions: 2...9))
            try peer.expectError(.unsupportedVersion)
        }
    }

    @Test func `a hello that speaks later versions too is welcomed in ours`() async throws {
        try await withPeer { peer in
            peer.send(try RawPeer.hello(versions: 1...9))
            guard case .welcome(let welcome) = try peer.next() else {
                Issue.record("no welcome")
                return
            }
            #expect(welcome.version == 1)
        }
    }

    @Test(arguments: [[UInt8](repeating: 0, count: 32), [1] + [UInt8](repeating: 0, count: 31)])
    func `a public key that gives the secret away is refused`(key: [UInt8]) async throws {
        try await withPeer { peer in
            peer.send(try RawPeer.hello(key: key))
            try peer.expectError(.weakKey)
        }
    }

    @Test func `a second hello is refused`() async throws {
        try await withPeer { peer in
            try peer.greet()
            peer.send(try RawPeer.hello())
            try peer.expectError(.unexpectedFrame)
        }
    }

    @Test func `a frame from the wrong side is refused`() async throws {
        try await withPeer { peer in
            try peer.greet()
            peer.send(.subscribed(subscription: 1))
            try peer.expectError(.malformedFrame)
        }
    }

    @Test func `a frame of an unknown type is refused, one that may be skipped is skipped`() async throws {
        try await withPeer { peer in
            try peer.greet()
            peer.send(header(0x7e, length: 0, fixed: 0, flags: 0x80))
            peer.send(.inspect(Inspect(request: 5, kind: .status)))
            guard case .inspected(let answer) = try peer.next() else {
                Issue.record("the frame behind the skipped one got no answer")
                return
            }
            #expect(answer.request == 5)
            peer.send(header(0x7e, length: 0, fixed: 0))
            try peer.expectError(.malformedFrame)
        }
    }

    @Test func `a length over the limit is refused before any room is made for it`() async throws {
        try await withPeer { peer in
            peer.send(header(FrameType.hello.rawValue, length: 2000, fixed: 72))
            try peer.expectError(.frameTooLong)
        }
        try await withPeer { peer in
            let welcome = try peer.greet()
            peer.send(header(FrameType.publish.rawValue, length: welcome.frameLengthMax, fixed: 8))
            try peer.expectError(.frameTooLong)
        }
    }

    @Test func `half a frame and the end is no error for anybody else`() async throws {
        try await withPeer { peer in
            peer.send(Array(try RawPeer.hello().encoded.prefix(20)))
            peer.close()
        }
        try await withPeer { peer in
            try peer.greet()
            peer.send(header(FrameType.publish.rawValue, length: 100_000, fixed: 8))
            peer.finishWriting()
            #expect(try peer.next() == nil)
        }
    }

    @Test func `a required field that isn't known is refused by name`() async throws {
        try await withPeer { peer in
            try peer.greet()
            var frame = Frame.inspect(Inspect(request: 1, kind: .status)).encoded
            frame.put(UInt16(0x8000 | 99))
            frame.put(UInt32(0))
            let length = UInt32(frame.count - Limits.frameHeaderLength)
            frame.replaceSubrange(0..<4, with: withUnsafeBytes(of: length.littleEndian) { Array($0) })
            peer.send(frame)
            try peer.expectError(.unknownRequiredField)
        }
    }

    @Test func `a publish number out of turn is refused`() async throws {
        try await withPeer { peer in
            try peer.greet()
            peer.send(.publish(Publish(number: 2, wantsReceipt: true, batch: SharedBytes([1, 2, 3]))))
            try peer.expectError(.unexpectedFrame)
        }
    }

    @Test func `a batch that is none and a seal that isn't open are refused, and the session goes on`() async throws {
        try await withPeer { peer in
            try peer.greet()
            peer.send(.publish(Publish(number: 1, wantsReceipt: true, batch: SharedBytes([1, 2, 3]))))
            try peer.expectError(.malformedBatch, fatal: false)
            guard case .receipts(let receipts) = try peer.next() else {
                Issue.record("no progress")
                return
            }
            #expect(receipts.progress == 1 && receipts.receipts.isEmpty)
            peer.send(
                .openSeal(OpenSeal(request: 1, salt: [UInt8](repeating: 1, count: 32), topic: Array("$bus.x".utf8))))
            try peer.expectError(.badTopic, fatal: false)
            peer.send(
                .subscribe(Subscribe(subscription: 1, filter: Array("a..b".utf8), creditEvents: 1, creditBytes: 1)))
            try peer.expectError(.badFilter, fatal: false)
            peer.send(.unsubscribe(subscription: 7))
            try peer.expectError(.unknownSubscription, fatal: false)
            peer.send(.inspect(Inspect(request: 1, kind: InspectionKind(rawValue: 99))))
            try peer.expectError(.notSupported, fatal: false)
        }
    }

    @Test func `a peer that asks and never reads is ended, and costs nobody else anything`() async throws {
        let bus = try TestBus()
        let other = try await bus.connect("other")
        let peer = try RawPeer(bus.socket)
        try peer.greet()
        // Its answers fill what the kernel takes, then what the broker allows.
        for request in 0..<20_000 {
            guard peer.send(.inspect(Inspect(request: UInt32(request), kind: .status))) else { break }
        }
        await eventually { (try? await other.status().contains(InspectedValue("sessions", 1))) == true }
        await other.close()
    }

    @Test func `a subscriber that never reads is cut off from nobody's events but its own`() async throws {
        let bus = try TestBus()
        let writer = try await bus.connect("writer")
        let peer = try RawPeer(bus.socket)
        try peer.greet()
        peer.send(
            .subscribe(
                Subscribe(subscription: 1, filter: [UInt8(ascii: ">")], creditEvents: 1 << 40, creditBytes: 1 << 40)))
        await eventually { (try? await writer.status().contains(InspectedValue("subscriptions", 1))) == true }
        let subscription = try await writer.subscribe("a.b")
        var arrivals = subscription.makeAsyncIterator()
        let payload = [UInt8](repeating: 7, count: 100_000)
        for _ in 0..<200 {
            try await writer.publish(.init(payload), to: "a.b")
            guard case .event = try await arrivals.next() else {
                Issue.record("the one who reads missed something")
                return
            }
        }
        let status = try await writer.status()
        guard case .number(let queued) = status.first(where: { $0.name == "bytes_queued" })?.value else {
            Issue.record("no bytes_queued")
            return
        }
        #expect(queued <= Limits.queueLengthDefault + 200_000)
        await writer.close()
    }

    @Test func `shutting down tells everyone, delivers what is queued and ends`() async throws {
        let bus = try TestBus()
        let peer = try RawPeer(bus.socket)
        try peer.greet()
        await bus.shutDown()
        guard case .closing(let reason, let message) = try peer.next() else {
            Issue.record("no word of the end")
            return
        }
        #expect(reason == .shuttingDown && !message.isEmpty)
        #expect(try peer.next() == nil)
        try bus.start()
        try RawPeer(bus.socket).greet()
    }

    @Test func `a server that was stopped lets go of everything`() throws {
        let bus = try TestBus()
        _ = try RawPeer(bus.socket).greet()
        bus.kill()
        // The lock of the state directory goes with the server.
        try bus.start()
        #expect(try RawPeer(bus.socket).greet().version == 1)
    }

    @Test func `who connects too fast is told before it says hello, and nobody else is`() async throws {
        let bus = try TestBus(configuration: "quotas: {connect_rate: 1}")
        let other = try await bus.connect("other")
        // Thirty-two seconds' worth come at once; the clock may give some more meanwhile.
        var told: ErrorFrame?
        for _ in 0..<200 where told == nil {
            let peer = try RawPeer(bus.socket)
            peer.send(try RawPeer.hello(versions: 1...1))
            if case .error(let error)? = try peer.next() { told = error }
        }
        #expect(told?.reason == .quotaExceeded && told?.isFatal == true)
        #expect(told?.message == "quota connect_rate of uid \(geteuid()) is used up: 1 of 1")
        try await other.publish("still here", to: "a.b")
        await other.close()
    }
}
