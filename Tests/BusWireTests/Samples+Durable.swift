// One of every frame and every shape that durable topics brought, in the order in which the golden file has them.

import BusWire

extension Sample {
    static let durable: [Sample] = stored + settling + administering

    private static let number: UInt64 = 0x0102_0304_0506_0708
    private static let batch = SharedBytes(run(0x10, 82))

    private static func subscribe(
        _ filter: String, mode: SubscribeMode = [], durableName: String = "", start: Start? = nil,
        settings: [Setting] = []
    ) -> Frame {
        .subscribe(
            Subscribe(
                subscription: 0x0102_0304, filter: Array(filter.utf8), creditEvents: 0x4142_4344_4546_4748,
                creditBytes: 0x5152_5354_5556_5758, mode: mode, durableName: Array(durableName.utf8), start: start,
                settings: settings))
    }

    private static let stored = [
        Sample(
            "publish-that-must-be-durable",
            .publish(Publish(number: number, wantsReceipt: true, mustBeDurable: true, batch: batch))),
        Sample(
            "publish-again", .publish(Publish(number: number, wantsReceipt: true, isAgain: true, batch: batch))),
        Sample(
            "subscribe-durable",
            subscribe(
                "demo.>", mode: [.shared, .unacknowledged], durableName: "zähler", start: .all,
                settings: [
                    Setting(.acknowledgeWait, 0x2122_2324_2526_2728), Setting(.unattendedMax, 0),
                    Setting(SettingKey(rawValue: 0x0102), -2),
                ])),
        Sample("subscribe-where-it-stands", subscribe("", durableName: "jobs")),
        Sample("subscribe-since", subscribe("demo.>", start: .since(-2))),
        Sample("subscribe-from-a-sequence", subscribe("demo.greeting", start: .sequence(0x3132_3334_3536_3738))),
    ]

    private static let settling = [
        Sample(
            "settle",
            .settle(
                Settle(
                    .retry, subscription: 0x0102_0304, delivery: 0x1112_1314_1516_1718,
                    delayMilliseconds: 0x2122_2324, message: "später"))),
        Sample(
            "settle-some",
            .settle(
                Settle(
                    .reject, subscription: 0x0102_0304, delivery: 0x1112_1314_1516_1718,
                    selection: SharedBytes([0x05, 0x80]), message: "no such order"))),
        Sample(
            "settle-without-a-word",
            .settle(Settle(.extend, subscription: 0x0102_0304, delivery: 0x1112_1314_1516_1718))),
        Sample(
            "deliver-that-may-be-repeated",
            .deliver(
                Deliver(
                    subscription: 0x0102_0304, attempt: 0x1112, delivery: 0x2122_2324_2526_2728,
                    firstSequence: 0x3132_3334_3536_3738, time: 0x4142_4344_4546_4748, isStored: true,
                    mayBeRepeated: true, selection: SharedBytes([0x05, 0x80]), batch: batch))),
        Sample(
            "gap-of-retention",
            .gap(
                Gap(
                    subscription: 0x0102_0304, reason: .retention, count: 42, firstSequence: 100, lastSequence: 141,
                    topic: Array("demo.greeting".utf8)))),
    ]

    private static let administering = [
        Sample(
            "administer",
            .administer(
                Administer(
                    request: 0x0102_0304, .createTopic, filter: Array("orders.>".utf8),
                    settings: [Setting(.retentionAge, 0x1112_1314_1516_1718), Setting(.retentionIsHard, 1)]))),
        Sample(
            "administer-a-subscription",
            .administer(Administer(request: 0x0102_0304, .seekSubscription, key: "zähler", start: .last))),
        Sample(
            "administered", .administered(Administered(request: 0x0102_0304, count: 0x1112_1314_1516_1718))),
        Sample(
            "inspect-a-trace",
            .inspect(
                Inspect(request: 0x0102_0304, kind: .trace, key: "50515253-5455-5657-5859-5a5b5c5d5e5f"))),
        Sample(
            "administer-a-new-subscription",
            .administer(
                Administer(
                    request: 0x0102_0304, .createSubscription, key: "jobs", filter: Array("demo.>".utf8),
                    mode: .shared, start: .all, settings: [Setting(.attemptCountMax, 3)]))),
    ]
}
