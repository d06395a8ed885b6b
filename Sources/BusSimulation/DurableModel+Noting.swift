// What became of which events, in the model's words: a trace that can be read, since frames say neither positions nor keys.

import BusBroker

extension DurableModel {
    /// Notes what a consumer of a subscription, or the subscription alone, has to do with some events.
    func note(
        _ record: DurableRecord, _ consumer: DurableConsumer?, _ what: String, _ positions: [UInt64],
        _ more: String = ""
    ) {
        guard notes != nil else { return }
        let who = consumer.map { "\(record.name) for \($0.session)" } ?? record.name
        let events = positions.map { position in
            let key = record.events[position]?.key(at: position) ?? 0
            return key == 0 ? "\(position)" : "\(position)/\(key)"
        }
        notes?.append("\(who) \(what) \(events.joined(separator: " "))\(more)")
    }
}
