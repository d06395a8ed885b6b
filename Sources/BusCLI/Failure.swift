// How the tool fails: one line on standard error that says what, where and what to do, and a status a script can
// tell apart.

import BusClient
import Glibc

/// A failure with its exit status.
struct Failure: Error {
    /// Exit statuses, after sysexits.h.
    enum Status: Int32 {
        case other = 1
        case usage = 64
        case badData = 65
        case unknownName = 68
        case unavailable = 69
        case temporary = 75
        case denied = 77
        case configuration = 78
        /// A shell's word for a command it couldn't run.
        case notRunnable = 127
    }

    let status: Status
    let message: String

    init(_ status: Status, _ message: String) {
        self.status = status
        self.message = message
    }

    /// What a client error means to a script.
    init(_ error: BusError) {
        switch error {
        case .unreachable(let path, let cause): self = Failure.unreachable(path, cause)
        case .untrusted: self.init(.denied, "\(error)")
        case .refused(let reason, _): self.init(Failure.status(of: reason), "\(error)")
        case .badName: self.init(.usage, "\(error)")
        case .tooLarge: self.init(.badData, "\(error)")
        case .disconnected, .responderGone: self.init(.unavailable, "\(error)")
        case .noResponders(let topic):
            self.init(.unavailable, "nobody answers on \(topic): `bus reply '\(topic)' --exec -- COMMAND` would")
        case .timedOut, .circuitOpen: self.init(.temporary, "\(error)")
        case .replyFailed(let text): self.init(.other, text)
        case .invalid: self.init(.usage, "\(error)")
        default: self.init(.other, "\(error)")
        }
    }

    private static func status(of reason: Reason) -> Status {
        switch reason {
        case .denied: .denied
        case .badTopic, .badFilter, .badGroup, .groupConflict: .usage
        case .payloadTooLarge, .malformedBatch, .willTooLarge: .badData
        case .quotaExceeded, .descriptorsExhausted, .shuttingDown, .queueFull: .temporary
        case .noResponders, .responderGone, .storeUnavailable: .unavailable
        case .unknownName: .unknownName
        case .notSupported, .notDurable, .invalidSetting, .nameTaken: .usage
        case .storeFull, .consumerExists: .temporary
        case .damaged: .badData
        default: .other
        }
    }

    /// Says it and ends the process.
    func exit() -> Never {
        Standard.error("bus: \(message)\n")
        Glibc.exit(status.rawValue)
    }
}
