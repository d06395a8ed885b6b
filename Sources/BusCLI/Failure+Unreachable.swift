// No daemon: what was tried, and how to get one.

import BusTransport

extension Failure {
    static func unreachable(_ path: String, _ cause: TransportError) -> Failure {
        switch cause {
        case .permissionDenied: return Failure(.denied, "\(cause)")
        case .socketPathTooLong, .socketPathInvalid: return Failure(.usage, "\(cause)")
        case .socketMissing, .connectionRefused, .socketPathNotASocket, .socketPathIsSymlink:
            let hint = "`systemctl start busd` or `busd` starts one, `bus run -- COMMAND` a private one"
            return Failure(.unavailable, "no daemon on \(path): \(what(cause)); \(hint)")
        default: return Failure(.unavailable, "\(path): \(cause)")
        }
    }

    private static func what(_ cause: TransportError) -> String {
        switch cause {
        case .socketMissing: "there is no such socket"
        case .connectionRefused: "nobody listens there"
        default: "\(cause)"
        }
    }
}
