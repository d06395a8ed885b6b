import BusTransport
import BusWire
import Testing

@testable import BusClient

@Suite struct CircuitBreakerTests {
    private let start = MonotonicInstant(nanoseconds: 0)
    private let policy = CircuitPolicy(failures: 3, openFor: .seconds(10))

    private func opened() -> CircuitBreaker {
        var circuit = CircuitBreaker()
        for _ in 0..<3 { circuit.failed(policy, at: start) }
        return circuit
    }

    @Test func `it opens with so many failures in a row, for so long`() {
        var circuit = CircuitBreaker()
        circuit.failed(policy, at: start)
        circuit.failed(policy, at: start)
        circuit.succeeded()
        circuit.failed(policy, at: start)
        circuit.failed(policy, at: start)
        #expect(circuit.refusal(at: start) == nil)
        circuit.failed(policy, at: start)
        #expect(circuit.isOpen)
        #expect(circuit.refusal(at: start + .seconds(9)) == start + .seconds(10))
    }

    @Test func `then one request tries, the others still fail at once`() {
        var circuit = opened()
        let later = start + .seconds(10)
        #expect(circuit.refusal(at: later) == nil)
        #expect(circuit.refusal(at: later) == later)
        #expect(circuit.isOpen)
        circuit.succeeded()
        #expect(!circuit.isOpen && circuit.isAtRest)
        #expect(circuit.refusal(at: later) == nil)
    }

    @Test func `a try without an answer opens it as long again`() {
        var circuit = opened()
        let later = start + .seconds(10)
        #expect(circuit.refusal(at: later) == nil)
        circuit.failed(policy, at: later)
        #expect(circuit.refusal(at: later) == later + .seconds(10))
    }

    @Test func `a try that was given up lets another one try`() {
        var circuit = opened()
        let later = start + .seconds(10)
        #expect(circuit.refusal(at: later) == nil)
        circuit.abandoned(at: later)
        #expect(circuit.refusal(at: later) == nil)
    }

    @Test func `failures of requests from before it opened don't keep it open longer`() {
        var circuit = opened()
        circuit.failed(policy, at: start + .seconds(5))
        #expect(circuit.refusal(at: start + .seconds(9)) == start + .seconds(10))
    }

    @Test func `each topic has its own, and changes are told once`() throws {
        var circuits = Circuits()
        let (a, b) = (try Topic("a"), try Topic("b"))
        #expect(circuits.note(.unanswered, a, policy, at: start) == nil)
        #expect(circuits.note(.unanswered, a, policy, at: start) == nil)
        #expect(circuits.note(.unanswered, a, policy, at: start) == .open)
        #expect(circuits.note(.unanswered, a, policy, at: start) == nil)
        let refusals = [a, b].map { circuits.refusal($0, at: start) }
        #expect(refusals == [start + .seconds(10), nil])
        #expect(circuits.open == [a])
        #expect(circuits.note(.answered, b, policy, at: start) == nil)
        #expect(circuits.note(.answered, a, policy, at: start) == .closed)
        #expect(circuits.open.isEmpty)
    }

    @Test func `topics beyond the bound have none`() throws {
        var circuits = Circuits()
        let one = CircuitPolicy(failures: 1)
        for number in 0..<Circuits.topicsMax {
            #expect(circuits.note(.unanswered, try Topic("t.\(number)"), one, at: start) == .open)
        }
        #expect(circuits.note(.unanswered, try Topic("another"), one, at: start) == nil)
        #expect(circuits.open.count == Circuits.topicsMax)
        #expect(circuits.note(.answered, try Topic("t.0"), one, at: start) == .closed)
        #expect(circuits.note(.unanswered, try Topic("another"), one, at: start) == .open)
    }
}
