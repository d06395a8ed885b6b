// Log lines on standard error: plain for a person, with the priority that journald understands under systemd.

import Glibc
import Logging

/// Writes each message as one line: `busd: message`.
struct PlainLog: LogHandler {
    var metadata: Logger.Metadata = [:]
    var logLevel: Logger.Level

    /// Under systemd standard error is a stream to the journal, which takes `<N>` at a line's beginning as priority.
    private static let isJournal = getenv("JOURNAL_STREAM") != nil

    init(level: Logger.Level) { logLevel = level }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        PlainLog.write(event.level, "\(event.message)")
    }

    /// Writes one line, whole.
    static func write(_ level: Logger.Level, _ message: String) {
        let prefix = isJournal ? "<\(priority(level))>" : "busd: " + (level >= .warning ? "\(level): " : "")
        // A message never spans lines: what a peer calls itself must not look like a line of ours.
        let line = prefix + message.replacing("\n", with: "\\n") + "\n"
        let bytes = Array(line.utf8)
        _ = bytes.withUnsafeBytes { Glibc.write(2, $0.baseAddress, $0.count) }
    }

    /// syslog(3)'s numbers.
    private static func priority(_ level: Logger.Level) -> Int {
        switch level {
        case .trace, .debug: 7
        case .info: 6
        case .notice: 5
        case .warning: 4
        case .error: 3
        case .critical: 2
        }
    }
}
