// Section 1: real events from one process to three others.

import BusClient
import Glibc

extension Demo {
    private static let roundCount = 30
    private static let shownCount = 4

    /// Starts the subscribers, then the publisher, and shows what arrives.
    func tellOfPublishing() async throws {
        try screen.section(
            "One publisher, three subscribers, five processes",
            "A daemon is started in a temporary directory. Three subscribers ask for topics by name and by wildcard; "
                + "then a publisher reads this host's /proc ten times a second and publishes every value as an event.")
        screen.remark("\(await connection.server) on \(bus.socket)")
        try await startSubscribers()
        publisher = try start(
            "the publisher", ["demo", "publisher", "--rounds", "\(Demo.roundCount)", "--every", "100ms"])
        for (index, subscriber) in subscribers.enumerated() { try await show(subscriber, index + 1) }
        let uids = Set(subscribers.flatMap { received($0) }.compactMap { $0["publisher"]?["uid"]?.number })
        try claim(
            uids == [Int(geteuid())],
            "Each event carries who published it, by the kernel's word: uid \(geteuid()), which is this user.")
    }

    /// The first one's connection is recorded for the next section.
    private func startSubscribers() async throws {
        let tap = try WireTap(bus.directory + "/tap.sock", before: bus.socket)
        self.tap = tap
        for (filter, socket) in [
            ("host.>", tap.socket), ("host.memory.available", bus.socket), ("host.*.available", bus.socket),
        ] {
            subscribers.append(Subscriber(filter: filter, process: try await subscribe(filter, socket: socket)))
        }
    }

    /// Events as a subscriber printed them, from its second on topic by topic.
    private func show(_ subscriber: Subscriber, _ number: Int) async throws {
        screen.blank()
        screen.command("bus sub '\(subscriber.filter)' --json", "subscriber \(number)")
        let isBroad = subscriber.filter == "host.>"
        let needed = Demo.shownCount * (isBroad ? 4 : 1)
        try await wait("events for \(subscriber.filter)", within: .seconds(10)) {
            subscriber.process.output.lines.count >= needed
        }
        let events = received(subscriber)
        for event in events.prefix(isBroad ? Demo.shownCount * 2 : Demo.shownCount) { screen.line(describe(event)) }
        let allowed = try TopicFilter(subscriber.filter)
        try claim(
            events.allSatisfy { event in
                event["topic"]?.text.flatMap { try? Topic($0) }.map(allowed.matches) ?? false
            },
            "\(events.count) events so far, every one on a topic that \(subscriber.filter) matches.")
    }

    private func describe(_ event: JSONValue) -> String {
        let clock = event["time"]?.text?.dropFirst(11).prefix(12) ?? ""
        let topic = Text.left(event["topic"]?.text ?? "", 24)
        return "\(clock)  \(topic) #\(Text.left("\(event["sequence"]?.number ?? 0)", 4)) \(event["data"]?.text ?? "")"
    }

    /// The events a subscriber has printed so far.
    func received(_ subscriber: Subscriber) -> [JSONValue] {
        subscriber.process.output.lines.compactMap { JSONValue($0) }.filter { $0["id"] != nil }
    }
}
