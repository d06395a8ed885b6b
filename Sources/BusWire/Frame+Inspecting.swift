// Frames of inspection: a question by kind, an answer as rows of named values, so that a later daemon can say
// more without a new frame.

/// What a client may ask about.
public struct InspectionKind: RawRepresentable, Hashable, Sendable {
    /// The number on the wire.
    public let rawValue: UInt16
    /// A kind by number.
    public init(rawValue: UInt16) { self.rawValue = rawValue }
    /// The daemon as a whole: one row.
    public static let status = InspectionKind(rawValue: 1)
    /// Sessions: a row each; with a key, its session number, one.
    public static let sessions = InspectionKind(rawValue: 2)
    /// Topics: a row each; with a key, its name, one.
    public static let topics = InspectionKind(rawValue: 3)
    /// Subscriptions: a row each; with a key, `session/number`, one.
    public static let subscriptions = InspectionKind(rawValue: 4)
    /// Users and what they hold of their quotas: a row each; with a key, its uid, one.
    public static let users = InspectionKind(rawValue: 5)
    /// Dead letters: a row each; with a key, those of a subscription by name, or of an event by id.
    public static let deadLetters = InspectionKind(rawValue: 6)
    /// Declarations of topics: a row each; with a key, its filter, one.
    public static let declarations = InspectionKind(rawValue: 7)
    /// Durable subscriptions: a row each; with a key, its name, one.
    public static let durableSubscriptions = InspectionKind(rawValue: 8)
    /// What became of the event, or the conversation, whose id is the key: a row for each thing known.
    public static let trace = InspectionKind(rawValue: 9)
    /// Events to be published later: a row each.
    public static let scheduled = InspectionKind(rawValue: 10)
}

/// Asks about the daemon.
public struct Inspect: Sendable, Equatable {
    /// The client's number for this request.
    public var request: UInt32
    /// About what.
    public var kind: InspectionKind
    /// One thing of that kind; empty for all.
    public var key: String
    /// Where the page before ended; 0 for the first page, which takes the snapshot the others are of.
    public var after: UInt64

    /// A question of these parts.
    public init(request: UInt32, kind: InspectionKind, key: String = "", after: UInt64 = 0) {
        self.request = request
        self.kind = kind
        self.key = key
        self.after = after
    }
}

/// One named value of an answer.
public struct InspectedValue: Sendable, Equatable {
    /// A number or a text.
    public enum Value: Sendable, Equatable {
        case number(UInt64)
        case text(String)
    }

    /// What it is, in snake_case; the unit is in the name.
    public var name: String
    /// Its value.
    public var value: Value

    /// A number.
    public init(_ name: String, _ number: UInt64) {
        self.name = name
        value = .number(number)
    }

    /// A text.
    public init(_ name: String, _ text: String) {
        self.name = name
        value = .text(text)
    }
}

/// The answer: rows of named values.
public struct Inspected: Sendable, Equatable {
    /// The request this answers.
    public var request: UInt32
    /// The rows.
    public var rows: [[InspectedValue]]
    /// What to ask after for the next page; 0 when this was the last.
    public var after: UInt64

    /// An answer of these parts.
    public init(request: UInt32, rows: [[InspectedValue]], after: UInt64 = 0) {
        self.request = request
        self.rows = rows
        self.after = after
    }
}
