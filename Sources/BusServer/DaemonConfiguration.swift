// What an administrator may say: busd.yaml, read strictly. Unknown keys are refused with the nearest known one,
// wrong values with file and line.

public import Logging
import BusWire
import Glibc
import Yams

/// The daemon's configuration, each value with its default.
public struct DaemonConfiguration: Sendable, Equatable {
    /// Where the bus listens; nil for the place of the daemon's kind.
    public var socket: String?
    /// Where state is kept; nil for the place of the daemon's kind.
    public var state: String?
    /// What is logged.
    public var logLevel: Logger.Level = .info
    /// The longest payload of one event, in bytes.
    public var payloadLengthMax = Limits.payloadLengthMax
    /// What this bus is called in logs and `bus status`.
    public var busName: String?

    /// The defaults.
    public init() {}

    /// Takes what the file at `path` says over what was said before.
    public mutating func read(file path: String) throws(ServerError) {
        guard let (bytes, _) = try StateFile(path: path).read(lengthMax: 1 << 20, followsLinks: true) else {
            throw .configuration("\(path): no such file")
        }
        try read(yaml: String(decoding: bytes, as: UTF8.self), from: path)
    }

    /// Takes what `text` says over what was said before; `file` is named in errors.
    public mutating func read(yaml text: String, from file: String) throws(ServerError) {
        let root: Node?
        do {
            root = try Yams.compose(yaml: text)
        } catch {
            throw .configuration("\(file): \(error)")
        }
        guard let root, root.null == nil else { return }
        guard let mapping = root.mapping else {
            throw .configuration("\(file):\(root.mark?.line ?? 1): expected `key: value` lines")
        }
        for (key, value) in mapping {
            let place = "\(file):\(key.mark?.line ?? 1)"
            guard let name = key.scalar?.string else { throw .configuration("\(place): a key must be a name") }
            guard let setting = Setting(rawValue: name) else {
                throw .configuration("\(place): unknown key `\(name)`; did you mean `\(Setting.nearest(to: name))`?")
            }
            guard !value.tag.description.hasPrefix("!") else {
                throw .configuration("\(place): `\(name)` has a tag: write the value alone")
            }
            guard let scalar = value.scalar?.string, !scalar.isEmpty, value.null == nil else {
                throw .configuration("\(place): `\(name)` needs one value")
            }
            try set(setting, scalar, place)
        }
    }

    private enum Setting: String, CaseIterable {
        case socket
        case state
        case logLevel = "log_level"
        case payloadMax = "payload_max"
        case busName = "bus_name"

        static func nearest(to name: String) -> String {
            let ranked = allCases.map { ($0.rawValue, editDistance($0.rawValue, name)) }
            return ranked.min { $0.1 < $1.1 }?.0 ?? ""
        }
    }

    private mutating func set(_ setting: Setting, _ value: String, _ place: String) throws(ServerError) {
        switch setting {
        case .socket:
            socket = try absolute(value, setting, place)
            guard value.utf8.count <= 107 else {
                let length = value.utf8.count
                throw .configuration("\(place): socket path is \(length) bytes, at most 107 fit: choose a shorter one")
            }
        case .state: state = try absolute(value, setting, place)
        case .busName: busName = value
        case .logLevel:
            guard let level = Logger.Level(rawValue: value) else {
                let known = Logger.Level.allCases.map(\.rawValue).joined(separator: ", ")
                throw .configuration("\(place): log_level `\(value)` is none of \(known)")
            }
            logLevel = level
        case .payloadMax:
            guard let length = parseByteCount(value), length >= 1, length <= Limits.payloadLengthCeiling else {
                let most = Limits.payloadLengthCeiling >> 20
                throw .configuration(
                    "\(place): payload_max `\(value)` is not a size from 1 to \(most)MiB, such as 4MiB")
            }
            payloadLengthMax = length
        }
    }

    private func absolute(_ value: String, _ setting: Setting, _ place: String) throws(ServerError) -> String {
        guard value.hasPrefix("/") else {
            throw .configuration("\(place): \(setting.rawValue) `\(value)` must be an absolute path")
        }
        return value
    }
}

/// A number of bytes with an optional KiB or MiB.
func parseByteCount(_ text: String) -> Int? {
    for (unit, shift) in [("KiB", 10), ("MiB", 20)] where text.hasSuffix(unit) {
        guard let number = Int(text.dropLast(unit.count)), number >= 0, number < 1 << 40 else { return nil }
        return number << shift
    }
    return Int(text)
}

/// How many single-character changes turn one name into the other; for suggestions only, names are short.
private func editDistance(_ a: String, _ b: String) -> Int {
    let (a, b) = (Array(a.utf8), Array(b.utf8.prefix(64)))
    var row = Array(0...b.count)
    for i in a.indices {
        var diagonal = row[0]
        row[0] = i + 1
        for j in b.indices {
            let substituted = diagonal + (a[i] == b[j] ? 0 : 1)
            diagonal = row[j + 1]
            row[j + 1] = min(row[j] + 1, row[j + 1] + 1, substituted)
        }
    }
    return row[b.count]
}
