// No daemon: what was tried, and how to get one.

import BusTransport

extension Failure {
    static func unreachable(_ path: String, _ cause: TransportError) -> Failure {
        switch cause {
        case .permissionDenied: return Failure(.denied, "\(cause)")
        case .socketPathTooLong, .socketPathInvalid: return Failure(.usage, "\(cause)")
        case .socketMissing, .connectionRefused, .socketPathNotASocket, .socketPathIsSymlink:
            let hint = "start one with `systemctl start busd`, or `busd`, or try `bus run -- COMMAND` for a private bus"
            return Failure(.unavailable, "no daemon on \(path) (\(cause)); \(hint)")
        default: return Failure(.unavailable, "\(path): \(cause)")
        }
    }
}
