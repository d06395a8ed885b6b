import BusWire
import Testing

@Suite("Frames of subscribing")
struct FrameSubscribingTests {
    @Test("have a number for each overflow policy, for ever")
    func overflowPolicies() {
        #expect(
            OverflowPolicy.allCases.map { "\($0) \($0.rawValue)" } == [
                "dropOldest 0", "stall 1", "dropNewest 2", "latest 3", "disconnect 4",
            ])
        #expect(
            OverflowPolicy.allCases.map(\.name) == ["drop-oldest", "stall", "drop-newest", "latest", "disconnect"])
    }

    @Test("leave a policy of a later version for others to judge")
    func unknownPolicy() throws {
        var subscribe = Subscribe(subscription: 1, filter: [0x61], creditEvents: 1, creditBytes: 1)
        subscribe.overflow = 200
        let bytes = Frame.subscribe(subscribe).encoded
        #expect(try decode(bytes, from: .client) == .frame(.subscribe(subscribe), length: bytes.count))
    }

    @Test("have a bit for each mode, for ever")
    func modes() {
        let modes: [SubscribeMode] = [.exclusive, .responds, .last, .shared, .unacknowledged]
        #expect(modes.map(\.rawValue) == [1, 2, 4, 8, 16])
        #expect(SubscribeMode.known == SubscribeMode(modes))
    }

    @Test("leave a mode of a later version for others to refuse")
    func unknownMode() throws {
        let mode = SubscribeMode(rawValue: 0x8000_0001)
        let subscribe = Subscribe(subscription: 1, filter: [0x61], creditEvents: 1, creditBytes: 1, mode: mode)
        let bytes = Frame.subscribe(subscribe).encoded
        #expect(try decode(bytes, from: .client) == .frame(.subscribe(subscribe), length: bytes.count))
        #expect(!SubscribeMode.known.isSuperset(of: mode))
    }

    @Test("write no group and no mode where there is none, so that an older daemon takes them")
    func withoutGroup() {
        let plain = Subscribe(subscription: 1, filter: [0x61], creditEvents: 1, creditBytes: 1)
        #expect(Frame.subscribe(plain).encoded.count == 8 + 40 + 6 + 1)
        var grouped = plain
        grouped.group = [0x67]
        grouped.mode = .exclusive
        let fields = [UInt8].field(0x8004, [0x61]) + .field(0x8009, [0x67]) + .field(0x800a, [1, 0, 0, 0])
        #expect(Array(Frame.subscribe(grouped).encoded[48...]) == fields)
    }

    @Test("keep the flags of a delivery apart")
    func deliverFlags() throws {
        for flags in 0..<16 as Range<UInt8> {
            let bytes = [UInt8].frame(type: 0x2a, flags: flags, fixed: [UInt8](repeating: 0, count: 36))
            guard case .frame(.deliver(let deliver), _) = try decode(bytes, from: .server) else {
                Issue.record("no delivery")
                return
            }
            let read = [deliver.isStored, deliver.hasMore, deliver.isAnswerable, deliver.mayBeRepeated]
            #expect(read == (0..<4).map { flags & (1 << $0) != 0 })
            #expect(Frame.deliver(deliver).encoded == bytes)
        }
    }

    @Test("tell no count, and not the number in its place, when it is unknown")
    func unknownCount() throws {
        var bytes = Frame.gap(
            Gap(subscription: 1, reason: .busRestarted, count: nil, firstSequence: 0, lastSequence: 0, topic: [])
        ).encoded
        bytes[8 + 8] = 7
        guard case .frame(.gap(let gap), _) = try decode(bytes, from: .server) else {
            Issue.record("no gap")
            return
        }
        #expect(gap.count == nil)
    }
}
