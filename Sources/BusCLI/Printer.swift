// Prints arrivals on the connection's own executor: what a round brought leaves in one write at its end.

import BusClient
import BusTransport

/// Confined to its reactor after the subscriptions are made.
final class Printer: RoundObserver, @unchecked Sendable {
    private let command: SubCommand
    private var output = OutputBuffer()
    private var printed: UInt64 = 0
    private var finished: CheckedContinuation<Result<Void, Failure>, Never>?
    private var outcome: Result<Void, Failure>?

    init(_ command: SubCommand) { self.command = command }

    func run() async throws {
        let reactor = try Reactor.started("bus sub", observer: self)
        var options = command.bus.connectOptions("bus sub", reactor: reactor)
        options.onNotice = { [self] notice in
            Standard.error("bus: \(notice)\n")
            if case .ended(let why) = notice { end(.failure(Failure(.unavailable, why))) }
        }
        let connection = try await BusConnection.connect(options)
        for filter in command.filters {
            _ = try await connection.subscribe(filter, command.subscribeOptions) { [self] in take($0) }
        }
        if let timeout = command.timeout {
            await connection.run { [self] _ in
                _ = reactor.schedule(at: .now() + timeout.duration) { self.timeOut() }
            }
        }
        let result = await connection.run { [self] _ in await waitForEnd() }
        await connection.close()
        try result.get()
    }

    private func waitForEnd() async -> Result<Void, Failure> {
        if let outcome { return outcome }
        return await withCheckedContinuation { finished = $0 }
    }

    private func end(_ result: Result<Void, Failure>) {
        guard outcome == nil else { return }
        output.flush()
        outcome = result
        finished?.resume(returning: result)
        finished = nil
    }

    private func timeOut() {
        let expected = command.count.map { " of \($0)" } ?? ""
        end(.failure(Failure(.temporary, "timeout: \(printed)\(expected) events came")))
    }

    // MARK: Arrivals

    private func take(_ arrival: BatchArrival) {
        guard outcome == nil else { return }
        switch arrival {
        case .batch(let batch):
            for event in batch {
                show(event)
                printed += 1
                if printed == command.count { return end(.success(())) }
            }
        case .missed(let missed): show(missed)
        }
    }

    private func show(_ event: Event) {
        if command.json {
            output.append(EventText.json(event))
            output.append(UInt8(ascii: "\n"))
        } else {
            event.payload.withUnsafeBytes { output.append($0) }
            if !command.raw { output.append(UInt8(ascii: "\n")) }
        }
    }

    private func show(_ missed: Missed) {
        if command.json {
            output.append(EventText.json(missed) + "\n")
        } else {
            // In its place also where both streams go to one terminal.
            output.flush()
            Standard.error("bus: \(EventText.sentence(missed))\n")
        }
    }

    func roundWillEnd(_ reactor: Reactor) { output.flush() }
}
