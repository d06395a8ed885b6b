// When a benchmark's subscriber is done: it has all it expects, or nothing has come for a while.

import BusTransport

/// Waits for one of two ends. Confined to its reactor.
final class BenchQuiet: @unchecked Sendable {
    private let first: Duration
    private let quiet: Duration
    private var arrivals: UInt64 = 0
    private var arrivalsSeen: UInt64 = 0
    private var isDone = false
    private var timer: DeadlineTimer?
    private var waiting: CheckedContinuation<Void, Never>?

    /// - Parameters:
    ///   - first: how long it waits for the first arrival: others may still be getting ready.
    ///   - quiet: after so long without another it is done.
    init(first: Duration, quiet: Duration, on reactor: Reactor) {
        self.first = first
        self.quiet = quiet
        timer = DeadlineTimer(on: reactor) { [weak self] in self?.look() }
    }

    /// Something has come.
    @inline(__always)
    func note() {
        arrivals += 1
        if arrivals == 1, waiting != nil { timer?.arm(at: .now() + quiet) }
    }

    /// All has come.
    func finish() {
        isDone = true
        timer?.disarm()
        waiting?.resume()
        waiting = nil
    }

    func wait() async {
        guard !isDone else { return }
        timer?.arm(at: .now() + (arrivals == 0 ? first : quiet))
        await withCheckedContinuation { waiting = $0 }
    }

    private func look() {
        guard arrivals > arrivalsSeen else { return finish() }
        arrivalsSeen = arrivals
        timer?.arm(at: .now() + quiet)
    }
}
