// Events and gaps as text: JSON objects for programs, sentences for people.

import BusClient

enum EventText {
    /// An event as a JSON object, without line end.
    static func json(_ event: Event) -> String { object(event).closed }

    /// An event as a JSON object, to which more can be added.
    static func object(_ event: Event) -> JSONObject {
        var publisher = JSONObject()
        publisher.add("uid", event.publisher.uid)
        publisher.add("gid", event.publisher.gid)
        publisher.add("name", event.publisher.name)
        var headers = JSONObject()
        for header in event.headers { headers.add(quotedName(header.name), header.value) }
        var object = JSONObject()
        object.add("id", event.id.description)
        object.add("topic", event.topic.description)
        object.add("sequence", event.sequence)
        object.add("time", timestamp(event.time))
        object.add("publisher", publisher)
        object.add("correlation", event.correlation.description)
        if let causation = event.causation { object.add("causation", causation.description) }
        if let replyTo = event.replyTo { object.add("reply_to", replyTo.description) }
        object.add("attempt", event.attempt)
        if event.isStored { object.add("stored", true) }
        if event.mayBeRepeated { object.add("may_be_repeated", true) }
        object.add("headers", headers)
        if let text = event.payload.withUnsafeBytes({ String(validating: $0, as: UTF8.self) }) {
            object.add("data", text)
        } else {
            object.add("data_base64", base64(event.payload))
        }
        return object
    }

    /// That all that was kept has come, as a JSON object, without line end.
    static func json(caughtUp count: UInt64) -> String {
        var object = JSONObject()
        object.add("caught_up", count)
        return object.closed
    }

    /// `up to date: 3 last values`, or of stored events.
    static func sentence(caughtUp count: UInt64, of what: String = "last value") -> String {
        "up to date: \(count == 0 ? "no" : "\(count)") \(what)\(count == 1 ? "" : "s")"
    }

    /// A gap as a JSON object, without line end.
    static func json(_ missed: Missed) -> String {
        var gap = JSONObject()
        if let topic = missed.topic { gap.add("topic", topic.description) }
        if let count = missed.count {
            gap.add("count", count)
            gap.add("first_sequence", missed.firstSequence)
            gap.add("last_sequence", missed.lastSequence)
        }
        gap.add("reason", missed.reason.name)
        var object = JSONObject()
        object.add("gap", gap)
        return object.closed
    }

    /// `missed 42 events of orders.new, sequences 100-141: queue-full`.
    static func sentence(_ missed: Missed) -> String {
        guard let count = missed.count, let topic = missed.topic else {
            let why = missed.reason == .busRestarted ? "the bus was restarted" : "the connection was lost"
            return "may have missed events, how many can't be known: \(why)"
        }
        let events = count == 1 ? "1 event" : "\(count) events"
        let range =
            missed.firstSequence == missed.lastSequence
            ? "sequence \(missed.firstSequence)" : "sequences \(missed.firstSequence)-\(missed.lastSequence)"
        return "missed \(events) of \(topic), \(range): \(missed.reason)"
    }

    /// A header's name may hold what JSON must escape.
    private static func quotedName(_ name: String) -> String {
        var text = ""
        JSONObject.quote(name, into: &text)
        return String(text.dropFirst().dropLast())
    }
}
