// One command under way: its streams, its time limit, its end.

import BusClient
import BusTransport
import CLinux
import Glibc
import SystemPackage

/// A started command, in a process group of its own, which is ended as a whole. Confined to its reactor.
final class RunningCommand: @unchecked Sendable {
    /// What is kept of standard error: enough for a message.
    private static let errorsMax = 1024
    /// Between asking a command to end and ending it.
    private static let grace = Duration.seconds(2)

    private let child: ChildProcess
    private let process: CInt
    private let output: CapturedStream?
    private let errors: CapturedStream?
    private var watch: DescriptorWatch?
    private var timer: DeadlineTimer?
    private var cause = EventCommand.Outcome.Cause.itself
    private var outcome: EventCommand.Outcome?
    private var finished: CheckedContinuation<EventCommand.Outcome, Never>?

    init(
        _ argv: [String], environment: [String: String], input: [UInt8], limit: Duration?, capturing: Bool,
        on reactor: Reactor
    ) throws {
        // Nothing is called before this has returned: it all happens on the reactor.
        let late = Late()
        output =
            capturing
            ? try CapturedStream(limit: Limits.payloadLengthCeiling, passesOn: false, on: reactor) {
                late.command?.end(.tooMuchOutput)
            } : nil
        // A service's log is made of what its commands complain about: the answer gets the beginning of it.
        errors =
            capturing ? try CapturedStream(limit: RunningCommand.errorsMax, passesOn: true, on: reactor) {} : nil
        child = try ChildProcess(
            argv, environment: environment, input: input, output: output?.written, errors: errors?.written,
            ownGroup: true)
        output?.began()
        errors?.began()
        process = linux_pidfd_open(child.pid)
        CommandGroups.add(child.pid)
        late.command = self
        try watch(on: reactor, limit)
    }

    private func watch(on reactor: Reactor, _ limit: Duration?) throws {
        do {
            guard process >= 0 else { throw Failure(.temporary, "pidfd: \(String(cString: strerror(-process)))") }
            watch = try DescriptorWatch(FileDescriptor(rawValue: process), on: reactor) { self.hasEnded() }
        } catch {
            kill(-child.pid, SIGKILL)
            CommandGroups.remove(child.pid)
            _ = child.wait()
            throw error
        }
        timer = DeadlineTimer(on: reactor) { [weak self] in self?.isDue() }
        if let limit { timer?.arm(at: .now() + limit) }
    }

    deinit { if process >= 0 { close(process) } }

    /// Waits for its end.
    func outcome(_ continuation: CheckedContinuation<EventCommand.Outcome, Never>) {
        if let outcome { return continuation.resume(returning: outcome) }
        finished = continuation
    }

    /// Asks it to end, and ends it two seconds later.
    func end(_ cause: EventCommand.Outcome.Cause) {
        guard outcome == nil, self.cause == .itself else { return }
        self.cause = cause
        kill(-child.pid, SIGTERM)
        timer?.arm(at: .now() + RunningCommand.grace)
    }

    private func isDue() {
        if cause == .itself { end(.timeLimit) } else { kill(-child.pid, SIGKILL) }
    }

    private func hasEnded() {
        guard let status = child.poll() else { return }
        CommandGroups.remove(child.pid)
        watch?.cancel()
        watch = nil
        timer?.disarm()
        timer = nil
        output?.finish()
        errors?.finish()
        let outcome = EventCommand.Outcome(
            cause: cause, status: status, output: output?.bytes ?? [], errors: errors?.bytes ?? [])
        self.outcome = outcome
        finished?.resume(returning: outcome)
        finished = nil
    }
}

/// A command that is known later than what refers to it.
private final class Late {
    weak var command: RunningCommand?
}
