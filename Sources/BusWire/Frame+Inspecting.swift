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
}

/// Asks about the daemon.
public struct Inspect: Sendable, Equatable {
    /// The client's number for this request.
    public var request: UInt32
    /// About what.
    public var kind: InspectionKind

    /// A question of these parts.
    public init(request: UInt32, kind: InspectionKind) {
        self.request = request
        self.kind = kind
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

    /// An answer of these parts.
    public init(request: UInt32, rows: [[InspectedValue]]) {
        self.request = request
        self.rows = rows
    }
}
