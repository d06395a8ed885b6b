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
    }

    @Test("leave a policy of a later version for others to judge")
    func unknownPolicy() throws {
        var subscribe = Subscribe(subscription: 1, filter: [0x61], creditEvents: 1, creditBytes: 1)
        subscribe.overflow = 200
        let bytes = Frame.subscribe(subscribe).encoded
        #expect(try decode(bytes, from: .client) == .frame(.subscribe(subscribe), length: bytes.count))
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
