// What several tests share: one of every frame with values that count up, so that a swapped field shows, and a
// seeded source of numbers.

import BusWire
import Testing

/// Bytes that count up from `start`.
func run(_ start: UInt8, _ count: Int) -> [UInt8] { (0..<count).map { start &+ UInt8(truncatingIfNeeded: $0) } }

/// A frame and its name in the golden file.
struct Sample: Sendable, CustomTestStringConvertible {
    let name: String
    let frame: Frame

    var testDescription: String { name }
    var sender: Role { frame.type.isFromClient ? .client : .server }

    init(_ name: String, _ frame: Frame) {
        self.name = name
        self.frame = frame
    }

    static let all: [Sample] = connection + publishing + subscribing + inspecting + patterns + durable

    private static let connection = [
        Sample("hello", .hello(Hello(versions: 1...2, publicKey: run(0x10, 32), nonce: run(0x30, 32), name: "zähler"))),
        Sample(
            "welcome",
            .welcome(
                Welcome(
                    version: 1, publicKey: run(0x10, 32), nonce: run(0x30, 32),
                    incarnation: BusUUID(high: 0x5051_5253_5455_5657, low: 0x5859_5a5b_5c5d_5e5f),
                    session: 0x0102_0304_0506_0708, frameLengthMax: 0x1112_1314, payloadLengthMax: 0x2122_2324,
                    publishWindow: 0x3132_3334, server: "busd"))),
        Sample(
            "error",
            .error(
                ErrorFrame(
                    reason: .malformedBatch, inReplyTo: .publish, isFatal: true, request: 0x0102_0304_0506_0708,
                    message: "columns of 3 bytes"))),
        Sample("goodbye", .goodbye),
        Sample("closing", .closing(reason: .shuttingDown, message: "going down")),
    ]

    private static let publishing = [
        Sample(
            "openSeal",
            .openSeal(OpenSeal(request: 0x0102_0304, salt: run(0x10, 32), topic: Array("demo.greeting".utf8)))),
        Sample(
            "sealOpened",
            .sealOpened(
                SealOpened(
                    request: 0x0102_0304, epoch: 0x1112_1314, seal: 0x2122_2324_2526_2728, batchLengthMax: 0x3132_3334,
                    batchEventCountMax: 0x4142_4344, grantIncarnation: 0x5152_5354,
                    grantCounter: 0x6162_6364_6566_6768, grant: run(0x10, 76)))),
        Sample(
            "sealOpened-with-a-payload-limit",
            .sealOpened(
                SealOpened(
                    request: 0x0102_0304, epoch: 0x1112_1314, seal: 0x2122_2324_2526_2728, batchLengthMax: 0x3132_3334,
                    batchEventCountMax: 0x4142_4344, payloadLengthMax: 0x7172_7374, grantIncarnation: 0x5152_5354,
                    grantCounter: 0x6162_6364_6566_6768, grant: run(0x10, 76)))),
        Sample("closeSeal", .closeSeal(seal: 0x0102_0304_0506_0708)),
        Sample(
            "publish",
            .publish(Publish(number: 0x0102_0304_0506_0708, wantsReceipt: true, batch: SharedBytes(run(0x10, 82))))),
        Sample(
            "publish-without-receipt",
            .publish(Publish(number: 0x0102_0304_0506_0708, wantsReceipt: false, batch: SharedBytes(run(0x10, 82))))),
        Sample(
            "publish-later",
            .publish(
                Publish(
                    number: 0x0102_0304_0506_0708, wantsReceipt: true, due: 0x2122_2324_2526_2728,
                    batch: SharedBytes(run(0x10, 82))))),
        Sample(
            "receipts",
            .receipts(
                Receipts(
                    progress: 0x0102_0304_0506_0708,
                    receipts: [
                        Receipt(
                            number: 0x0102_0304_0506_0707, firstSequence: 0x1112_1314_1516_1718,
                            eventCount: 0x2122_2324, liveMatches: 0x3132_3334, durableMatches: 0x4142_4344,
                            isDurable: true),
                        Receipt(
                            number: 0x0102_0304_0506_0708, firstSequence: 0x5152_5354_5556_5758,
                            eventCount: 0x6162_6364, liveMatches: 0x7172_7374, isDuplicate: true),
                    ]))),
        Sample("sync", .sync),
    ]

    private static let subscribing = [
        Sample(
            "subscribe",
            .subscribe(
                Subscribe(
                    subscription: 0x0102_0304, filter: Array("demo.>".utf8), overflow: .stall,
                    stallMilliseconds: 0x1112_1314, queueEventCount: 0x2122_2324, queueLength: 0x3132_3334_3536_3738,
                    creditEvents: 0x4142_4344_4546_4748, creditBytes: 0x5152_5354_5556_5758))),
        Sample("subscribed", .subscribed(subscription: 0x0102_0304)),
        Sample("unsubscribe", .unsubscribe(subscription: 0x0102_0304)),
        Sample(
            "unsubscribed",
            .unsubscribed(
                Unsubscribed(
                    subscription: 0x0102_0304, reason: .unsubscribed, deliveredCount: 0x1112_1314_1516_1718,
                    missedCount: 0x2122_2324_2526_2728))),
        Sample(
            "credit",
            .credit(
                Credit(subscription: 0x0102_0304, events: 0x1112_1314_1516_1718, bytes: 0x2122_2324_2526_2728))),
        Sample(
            "acknowledge", .acknowledge(Acknowledge(subscription: 0x0102_0304, delivery: 0x1112_1314_1516_1718))),
        Sample(
            "announce",
            .announce(
                Announcement(
                    seal: 0x0102_0304_0506_0708, epoch: 0x1112_1314, uid: 0x2122_2324, gid: 0x3132_3334,
                    salt: run(0x10, 32), keyCheck: run(0x30, 16), topic: Array("demo.greeting".utf8),
                    publisher: "greeter"))),
        Sample(
            "announce-that-forgets-earlier",
            .announce(
                Announcement(
                    seal: 0x0102_0304_0506_0708, epoch: 0x1112_1314, uid: 0x2122_2324, gid: 0x3132_3334,
                    salt: run(0x10, 32), keyCheck: run(0x30, 16), topic: Array("demo.greeting".utf8),
                    publisher: "", forgetsEarlier: true))),
        Sample(
            "grant",
            .grant(
                Grant(
                    epoch: 0x0102_0304, incarnation: 0x1112_1314, counter: 0x2122_2324_2526_2728,
                    topic: Array("demo.greeting".utf8), sealed: run(0x10, 48)))),
        Sample(
            "deliver",
            .deliver(
                Deliver(
                    subscription: 0x0102_0304, attempt: 0x1112, delivery: 0x2122_2324_2526_2728,
                    firstSequence: 0x3132_3334_3536_3738, time: 0x4142_4344_4546_4748,
                    selection: SharedBytes([0x05, 0x80]), batch: SharedBytes(run(0x10, 82))))),
        Sample(
            "gap",
            .gap(
                Gap(
                    subscription: 0x0102_0304, reason: .queueFull, count: 42, firstSequence: 100, lastSequence: 141,
                    topic: Array("demo.greeting".utf8)))),
        Sample(
            "gap-of-unknown-count",
            .gap(
                Gap(
                    subscription: 0x0102_0304, reason: .busRestarted, count: nil, firstSequence: 0, lastSequence: 0,
                    topic: []))),
    ]

    private static let inspecting = [
        Sample("inspect", .inspect(Inspect(request: 0x0102_0304, kind: .status))),
        Sample(
            "inspected",
            .inspected(
                Inspected(
                    request: 0x0102_0304,
                    rows: [[InspectedValue("sessions", 3), InspectedValue("name", "busd")], []]))),
    ]
}

/// A batch that passes every check without a key; its body is no ciphertext.
func plainBatch(
    eventCount: UInt32 = 1, firstID: BusUUID = BusUUID(milliseconds: 1, counterHigh: 2, counterLow: 3),
    columns: BatchColumns = BatchColumns(), bodyLength: Int? = nil
) -> [UInt8] {
    var columnBytes: [UInt8] = []
    columns.encode(into: &columnBytes)
    let body = bodyLength ?? 16 + 14 * Int(eventCount)
    var out: [UInt8] = []
    BatchHeader(
        eventCount: eventCount, seal: 42, counter: 7, firstID: firstID, columnsLength: UInt32(columnBytes.count),
        bodyLength: UInt32(body)
    ).encode(into: &out)
    return out + columnBytes + run(0x10, body)
}

/// SplitMix64: the same numbers from the same seed, everywhere.
struct SeededNumbers: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }
}

extension [UInt8] {
    /// Little-endian, for building frames by hand.
    static func little<T: FixedWidthInteger>(_ value: T) -> [UInt8] {
        Swift.withUnsafeBytes(of: value.littleEndian) { [UInt8]($0) }
    }

    /// A frame built by hand.
    static func frame(type: UInt8, flags: UInt8 = 0, fixed: [UInt8], rest: [UInt8] = []) -> [UInt8] {
        little(UInt32(fixed.count + rest.count)) + [type, flags] + little(UInt16(fixed.count)) + fixed + rest
    }

    /// A field built by hand.
    static func field(_ tag: UInt16, _ value: [UInt8]) -> [UInt8] {
        little(tag) + little(UInt32(value.count)) + value
    }
}

/// The one frame in `bytes`.
func decode(_ bytes: [UInt8], from sender: Role, limit: Int = 1 << 20) throws(WireError) -> FrameDecoder.Step {
    try FrameDecoder(from: sender, frameLengthMax: limit).next(in: SharedBytes(bytes))
}
