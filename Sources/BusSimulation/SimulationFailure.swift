// A promise that was broken, and how to see it again.

/// A run that found the broker breaking a promise.
public struct SimulationFailure: Error, CustomStringConvertible, Sendable {
    /// The world it happened in.
    public let kind: SimulationKind
    /// The seed that leads there.
    public let seed: UInt64
    /// The step it happened in.
    public let step: Int
    /// What was expected and what happened.
    public let message: String
    /// The last things done before, oldest first.
    public let trace: [String]

    /// What kind of failure it is: its words without numbers and names.
    var gist: String { message.split(separator: " ").filter { $0.allSatisfy(\.isLetter) }.joined(separator: " ") }

    /// The failure, the way there and the command that repeats it.
    public var description: String {
        let way = trace.map { "    " + $0 }.joined(separator: "\n")
        return
            "\(kind) seed \(seed), step \(step): \(message)\n\(way)\n  again: make simulate KIND=\(kind) SEED=\(seed)"
    }
}

/// A promise that was broken, before anybody knows in which step.
struct Violation: Error {
    let message: String
    init(_ message: String) { self.message = message }
}

/// Fails unless something holds.
func expect(_ isTrue: Bool, _ message: @autoclosure () -> String) throws(Violation) {
    guard isTrue else { throw Violation(message()) }
}
