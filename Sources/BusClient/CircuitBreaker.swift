// When requests on a topic fail at once because the ones before got no answer. Pure: time is passed in.

import BusTransport
import BusWire

/// The circuit of one topic.
struct CircuitBreaker {
    private enum State {
        /// Requests are made; so many in a row got no answer.
        case closed(failures: Int)
        /// Requests fail at once.
        case open(until: MonotonicInstant)
        /// One request was let through; the others fail at once until it is known what became of it.
        case trying
    }

    private var state = State.closed(failures: 0)

    /// Whether it has nothing to remember.
    var isAtRest: Bool { if case .closed(failures: 0) = state { true } else { false } }

    /// Whether requests fail at once, or all but the one that tries.
    var isOpen: Bool { if case .closed = state { false } else { true } }

    /// Asks whether a request may be made: nil, or until when not.
    mutating func refusal(at now: MonotonicInstant) -> MonotonicInstant? {
        switch state {
        case .closed: return nil
        case .trying: return now
        case .open(let until):
            guard until <= now else { return until }
            state = .trying
            return nil
        }
    }

    /// A request got an answer.
    mutating func succeeded() { state = .closed(failures: 0) }

    /// A request got none.
    mutating func failed(_ policy: CircuitPolicy, at now: MonotonicInstant) {
        switch state {
        case .closed(let failures):
            let sum = failures + 1
            state = sum >= policy.failures ? .open(until: now + policy.openFor) : .closed(failures: sum)
        case .trying: state = .open(until: now + policy.openFor)
        // A request from before it opened: it opened for its like.
        case .open: break
        }
    }

    /// A request was given up before anything was known: if it was the one that tried, another may.
    mutating func abandoned(at now: MonotonicInstant) {
        if case .trying = state { state = .open(until: now) }
    }
}

/// The circuits of a connection.
struct Circuits {
    /// What became of a request.
    enum Outcome { case answered, unanswered, abandoned }

    private var circuits: [Topic: CircuitBreaker] = [:]

    /// Topics remembered; others have no circuit until one of them closes. As many as a daemon shows.
    static let topicsMax = Limits.circuitCountMax

    /// The topics whose circuit is open.
    var open: [Topic] { circuits.filter(\.value.isOpen).map(\.key) }

    /// Asks whether a request may be made: nil, or until when not.
    mutating func refusal(_ topic: Topic, at now: MonotonicInstant) -> MonotonicInstant? {
        circuits[topic]?.refusal(at: now)
    }

    /// A request is over. Returns where the circuit stands now if it changed.
    mutating func note(
        _ outcome: Outcome, _ topic: Topic, _ policy: CircuitPolicy, at now: MonotonicInstant
    ) -> Circuit.State? {
        guard circuits[topic] != nil || circuits.count < Circuits.topicsMax else { return nil }
        var circuit = circuits[topic] ?? CircuitBreaker()
        let wasOpen = circuit.isOpen
        switch outcome {
        case .answered: circuit.succeeded()
        case .unanswered: circuit.failed(policy, at: now)
        case .abandoned: circuit.abandoned(at: now)
        }
        circuits[topic] = circuit.isAtRest ? nil : circuit
        return circuit.isOpen == wasOpen ? nil : circuit.isOpen ? .open : .closed
    }
}
