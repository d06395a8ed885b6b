// What the model holds, in a few lines, for whoever has to explain a failure.

extension Model {
    /// One line for everything that is owed something.
    var lines: [String] {
        streams.filter { !$0.owed.isEmpty || $0.group != nil }.map { "\($0)" }
            + sessionsInOrder.filter { !$0.pending.isEmpty }.map { "session \($0.id) waits with \($0.pending.count)" }
    }
}

extension ModelStream: CustomStringConvertible {
    var description: String {
        let who = members.map { member in
            "\(member.name) sent \(member.sentEvents)/\(member.creditEvents), outstanding \(member.outstanding)"
        }
        let kind = group.map { "group \($0)\(isExclusive ? " exclusive" : "")" } ?? ""
        return "\(who) \(kind) \(filter) \(policy), \(queueEventCount) events, \(queueLength) bytes"
            + "\(responds ? ", responds" : "")\(fullSince.map { ", full since \($0)" } ?? ""), owed: "
            + (owed.count > 30 ? "… " : "") + owed.suffix(30).map { "\($0)" }.joined(separator: " ")
    }
}

extension OwedEntry: CustomStringConvertible {
    var description: String {
        "\(topic):\(firstSequence)-\(lastSequence)\(attempt > 1 ? "#\(attempt)" : "")\(isStored ? " stored" : "")"
            + "\(isAnswerable ? "?" : "")\(lost.map { " (\($0))" } ?? "")"
    }
}
