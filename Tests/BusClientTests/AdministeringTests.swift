import BusTesting
import BusWire
import Testing

@testable import BusClient

/// Requests for changes, with a daemon's answers made up on the way.
@Suite(.timeLimit(.minutes(1))) struct AdministeringTests {
    /// A relay that answers each request for a change by `answer`, in place of the daemon.
    private func answering(
        _ bus: TestBus, _ asked: Noted<[Administer]>, _ answer: @escaping @Sendable (Administer) -> Frame?
    ) throws -> Relay {
        try Relay(bus.directory.path + "/relay", to: bus.socket) { direction, bytes in
            let decoder = FrameDecoder(from: direction == .toServer ? .client : .server, frameLengthMax: 4 << 20)
            guard case .frame(let frame, _) = try? decoder.next(in: SharedBytes(bytes), at: 0) else { return bytes }
            switch frame {
            case .administer(let request):
                asked.change { $0.append(request) }
                // The daemon answers a question instead, on whose way back the answer is put.
                return Frame.inspect(Inspect(request: UInt32.max, kind: .status)).encoded
            case .inspected(let inspected) where inspected.request == UInt32.max:
                let request = asked.change { $0.removeFirst() }
                return answer(request)?.encoded ?? []
            default: return bytes
            }
        }
    }

    @Test func `each request has its own answer: a count, or a reason and a sentence`() async throws {
        let bus = try TestBus()
        let asked = Noted([Administer]())
        let seen = Noted([Administer]())
        let relay = try answering(bus, asked) { request in
            seen.change { $0.append(request) }
            guard request.key == "none" else {
                return .administered(Administered(request: request.request, count: UInt64(request.settings.count)))
            }
            return .error(
                ErrorFrame(
                    reason: .unknownName, inReplyTo: .administer, request: UInt64(request.request),
                    message: "there is no subscription “none”"))
        }
        defer { relay.stop() }
        let client = try await bus.connect(through: relay.path)
        let settings = [Setting(.durable, 1), Setting(.retentionCount, 10)]
        async let created = client.administer(.createTopic, filter: "orders.>", settings: settings)
        await #expect {
            try await client.administer(.createSubscription, key: "none", mode: .shared, start: .all)
        } throws: { error in
            guard case BusError.refused(.unknownName, let message) = error else { return false }
            return message.contains("none")
        }
        #expect(try await created == 2)
        let create = try #require(seen.value.first { $0.operation == .createTopic })
        #expect(create.filter == Array("orders.>".utf8) && create.settings == settings && create.start == nil)
        let other = try #require(seen.value.first { $0.operation == .createSubscription })
        #expect(other.start == .all && other.mode == .shared && other.filter.isEmpty)
        await client.close()
    }

    @Test func `who gives up is let go, and the late answer is for nobody`() async throws {
        let bus = try TestBus()
        let asked = Noted([Administer]())
        let isGivenUp = Noted(false)
        let seen = Noted(0)
        let relay = try answering(bus, asked) { request in
            seen.change { $0 += 1 }
            return isGivenUp.value ? .administered(Administered(request: request.request - 1, count: 1)) : nil
        }
        defer { relay.stop() }
        let client = try await bus.connect(through: relay.path)
        let first = Task { try await client.administer(.scrub) }
        await eventually { seen.value == 1 }
        first.cancel()
        await #expect { try await first.value } throws: { isError($0, "cancelled") }
        isGivenUp.change { $0 = true }
        let second = Task { try await client.administer(.scrub) }
        await eventually { seen.value == 2 }
        // The answer to the first has come, and wasn't taken for the second's.
        _ = try await client.status()
        second.cancel()
        await #expect { try await second.value } throws: { isError($0, "cancelled") }
        await client.close()
    }

    @Test func `a lost connection fails what was asked, since nobody knows whether it was done`() async throws {
        let bus = try TestBus()
        let asked = Noted([Administer]())
        let seen = Noted(0)
        let relay = try answering(bus, asked) { _ in
            seen.change { $0 += 1 }
            return nil
        }
        defer { relay.stop() }
        let client = try await bus.connect(through: relay.path)
        let asking = Task { try await client.administer(.scrub) }
        await eventually { seen.value == 1 }
        await relay.cut()
        await #expect { try await asking.value } throws: { isError($0, "disconnected") }
        await client.close()
        await #expect { try await client.administer(.scrub) } throws: { isError($0, "closed") }
    }

    @Test func `an answer to what wasn't asked breaks the protocol`() async throws {
        let bus = try TestBus()
        let asked = Noted([Administer]())
        let relay = try answering(bus, asked) { .administered(Administered(request: $0.request + 5, count: 0)) }
        defer { relay.stop() }
        let client = try await bus.connect(through: relay.path)
        await #expect { try await client.administer(.scrub) } throws: { isError($0, "protocolViolation") }
        await client.close()
    }

    @Test func `filters and keys are checked before anything is asked`() async throws {
        let bus = try TestBus()
        let client = try await bus.connect()
        await #expect { try await client.administer(.createTopic, filter: "a..b") } throws: { isError($0, "badName") }
        await #expect {
            try await client.administer(.backup, key: String(repeating: "x", count: 961))
        } throws: { isError($0, "invalid") }
        await client.close()
    }
}
