// Section 3: which event reached whom, by UUID.

import BusClient

extension Demo {
    /// What the publisher was told of an event.
    private struct Receipt {
        let id: String
        let topic: String
        let matches: Int
    }

    /// Compares the publisher's receipts with what the subscribers printed.
    func tellOfDeliveries() async throws {
        try screen.section(
            "Every event by its UUID",
            "The daemon answers each publish with a receipt: for how many subscriptions it was. The publisher has "
                + "printed its receipts, the subscribers what they got; ✓ says that a subscriber printed that id.")
        guard let publisher else { return }
        try await succeed(publisher, within: .seconds(15))
        let receipts = publisher.output.lines.compactMap { JSONValue($0) }.compactMap { line -> Receipt? in
            guard let id = line["id"]?.text, let topic = line["topic"]?.text, let matches = line["matches"]?.number
            else { return nil }
            return Receipt(id: id, topic: topic, matches: matches)
        }
        let expected = receipts.reduce(0) { $0 + $1.matches }
        try await wait("\(expected) deliveries", within: .seconds(10)) {
            self.subscribers.reduce(0) { $0 + $1.process.output.lines.count } >= expected
        }
        let printed = subscribers.map { self.received($0).compactMap { $0["id"]?.text } }
        show(receipts, printed.map { Set($0) })
        try claimDeliveries(receipts, printed)
    }

    /// The last round's events with different fates.
    private func show(_ receipts: [Receipt], _ ids: [Set<String>]) {
        let topics = [
            "host.memory.available", "host.swap.available", "host.entropy.available", "host.cpu.user", "host.load.1m",
        ]
        screen.line(
            screen.styled(Text.left("event id", 38) + Text.left("topic", 25) + "receipt   got it: 1  2  3", .dim))
        for topic in topics {
            guard let receipt = receipts.last(where: { $0.topic == topic }) else { continue }
            let marks = ids.map { $0.contains(receipt.id) ? screen.styled("✓", .green) : "·" }.joined(separator: "  ")
            let matches = "for \(receipt.matches)"
            screen.line("\(receipt.id)  \(Text.left(topic, 25))\(Text.left(matches, 18))\(marks)")
        }
        screen.blank()
    }

    private func claimDeliveries(_ receipts: [Receipt], _ printed: [[String]]) throws {
        let ids = printed.map { Set($0) }
        let known = Set(receipts.map(\.id))
        let matches = receipts.reduce(0) { $0 + $1.matches }
        let deliveries = printed.reduce(0) { $0 + $1.count }
        try claim(
            receipts.allSatisfy { receipt in ids.count { $0.contains(receipt.id) } == receipt.matches },
            "Each of \(receipts.count) events was printed by exactly as many subscribers as its receipt says.")
        let counts = printed.map { Text.grouped($0.count) }.joined(separator: " + ")
        try claim(
            deliveries == matches,
            "\(counts) printed = \(Text.grouped(deliveries)); the receipts add up to \(Text.grouped(matches)).")
        let isExact = zip(printed, ids).allSatisfy { $0.count == $1.count && $1.isSubset(of: known) }
        try claim(
            known.count == receipts.count && isExact,
            "No id was given twice, none came twice, none came from nowhere.")
    }
}
