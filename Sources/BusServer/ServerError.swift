// Why a daemon doesn't start or can't go on: each case says what, where and what to do.

/// Why the daemon could not start.
public enum ServerError: Error, Sendable, Equatable {
    /// The configuration is wrong; the text names file, line and key.
    case configuration(String)
    /// The state directory can't be used; the text says why.
    case state(String)
    /// The socket can't be had; the text says why.
    case socket(String)
    /// Something the system refused.
    case system(String)
}

extension ServerError: CustomStringConvertible {
    /// The text alone; each says what to do.
    public var description: String {
        switch self {
        case .configuration(let text), .state(let text), .socket(let text), .system(let text): text
        }
    }
}
