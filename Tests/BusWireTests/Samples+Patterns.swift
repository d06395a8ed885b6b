// One of every frame and every shape that groups, last values, requests, wills and inspection brought, in the order in
// which the golden file has them.

import BusWire

extension Sample {
    static let patterns: [Sample] = publishingPatterns + requesting + subscribingPatterns + inspectingPages

    private static let number: UInt64 = 0x0102_0304_0506_0708
    private static let correlation = BusUUID(high: 0x5051_5253_5455_5657, low: 0x5859_5a5b_5c5d_5e5f)
    private static let batch = SharedBytes(run(0x10, 82))
    private static let topic = Array("demo.greeting".utf8)

    private static let publishingPatterns = [
        Sample("done", .done(inReplyTo: FrameType.will.rawValue, request: number)),
        Sample(
            "publish-that-retains-a-tombstone",
            .publish(Publish(number: number, wantsReceipt: false, retains: true, isTombstone: true, batch: batch))),
        Sample(
            "publish-of-requests",
            .publish(Publish(number: number, wantsReceipt: true, isPatient: true, isRequest: true, batch: batch))),
        Sample(
            "publish-of-answers", .publish(Publish(number: number, wantsReceipt: false, hasMore: true, batch: batch))),
        Sample(
            "receipts-of-requests",
            .receipts(
                Receipts(
                    progress: number,
                    receipts: [
                        Receipt(
                            number: number, firstSequence: 0x1112_1314_1516_1718, eventCount: 0x2122_2324,
                            liveMatches: 0x3132_3334, responders: 0x4142)
                    ]))),
        Sample("will", .will(Will(request: number, retains: true, batch: batch))),
        Sample("will-of-a-tombstone", .will(Will(request: number, retains: true, isTombstone: true, batch: batch))),
        Sample("will-taken-back", .will(Will(request: number, batch: .empty))),
    ]

    private static let requesting = [
        Sample("cancelRequest", .cancelRequest(correlation: correlation)),
        Sample("circuit", .circuit(Circuit(.open, topic: topic))),
        Sample("circuit-closed", .circuit(Circuit(.closed, topic: topic))),
        Sample(
            "sealLimits",
            .sealLimits(SealLimitsChanged(seal: number, batchLengthMax: 0x1112_1314, batchEventCountMax: 0x2122_2324))),
        Sample(
            "sealLimits-with-a-payload-limit",
            .sealLimits(
                SealLimitsChanged(
                    seal: number, batchLengthMax: 0x1112_1314, batchEventCountMax: 0x2122_2324,
                    payloadLengthMax: 0x3132_3334))),
        Sample("unanswered", .unanswered(Unanswered(correlation: correlation, reason: .responderGone))),
    ]

    private static func subscribe(
        _ overflow: OverflowPolicy, group: [UInt8] = [], mode: SubscribeMode
    ) -> Frame {
        .subscribe(
            Subscribe(
                subscription: 0x0102_0304, filter: Array("demo.>".utf8), overflow: overflow,
                stallMilliseconds: 0x1112_1314, queueEventCount: 0x2122_2324, queueLength: 0x3132_3334_3536_3738,
                creditEvents: 0x4142_4344_4546_4748, creditBytes: 0x5152_5354_5556_5758, group: group, mode: mode))
    }

    private static func deliver(
        isStored: Bool = false, hasMore: Bool = false, isAnswerable: Bool = false
    ) -> Frame {
        .deliver(
            Deliver(
                subscription: 0x0102_0304, attempt: 0x1112, delivery: 0x2122_2324_2526_2728,
                firstSequence: 0x3132_3334_3536_3738, time: 0x4142_4344_4546_4748, isStored: isStored,
                hasMore: hasMore, isAnswerable: isAnswerable, selection: SharedBytes([0x05, 0x80]), batch: batch))
    }

    private static let subscribingPatterns = [
        Sample(
            "subscribe-in-a-group",
            subscribe(.latest, group: Array("zähler".utf8), mode: [.exclusive, .responds])),
        Sample("subscribe-from-the-last", subscribe(.disconnect, mode: .last)),
        Sample(
            "announce-of-a-life",
            .announce(
                Announcement(
                    seal: number, epoch: 0x1112_1314, uid: 0x2122_2324, gid: 0x3132_3334, salt: run(0x10, 32),
                    keyCheck: run(0x30, 16), topic: topic, publisher: "greeter",
                    topicIncarnation: 0x4142_4344_4546_4748))),
        Sample("deliver-stored", deliver(isStored: true)),
        Sample("deliver-of-answers", deliver(hasMore: true)),
        Sample("deliver-of-requests", deliver(isAnswerable: true)),
        Sample(
            "gap-of-superseded-events",
            .gap(
                Gap(
                    subscription: 0x0102_0304, reason: .superseded, count: 0x1112_1314_1516_1718,
                    firstSequence: 0x2122_2324_2526_2728, lastSequence: 0x3132_3334_3536_3738, topic: topic))),
        Sample("caughtUp", .caughtUp(CaughtUp(subscription: 0x0102_0304, count: 0x1112_1314_1516_1718))),
        Sample(
            "requestCancelled",
            .requestCancelled(RequestCancelled(correlation: correlation, replyTopic: Array("$reply.7".utf8)))),
    ]

    private static let inspectingPages = [
        Sample("inspect-one-thing", .inspect(Inspect(request: 0x0102_0304, kind: .subscriptions, key: "7/1"))),
        Sample(
            "inspect-the-next-page",
            .inspect(Inspect(request: 0x0102_0304, kind: .topics, after: 0x1112_1314_1516_1718))),
        Sample(
            "inspected-with-more",
            .inspected(
                Inspected(
                    request: 0x0102_0304,
                    rows: [[InspectedValue("topic", "demo.greeting"), InspectedValue("sequence", 3)]],
                    after: 0x1112_1314_1516_1718))),
    ]
}
