// JSON as the demo's processes print it: one object a line.

/// A JSON value; what the tool's own lines don't hold is not told apart.
enum JSONValue: Equatable {
    case text(String)
    case number(Int)
    case object([String: JSONValue])
    case other

    /// The value in `line`; nil if there is none.
    init?(_ line: String) {
        var reader = JSONReader(line)
        guard let value = reader.value() else { return nil }
        self = value
    }

    subscript(key: String) -> JSONValue? {
        if case .object(let members) = self { members[key] } else { nil }
    }

    var text: String? { if case .text(let text) = self { text } else { nil } }
    var number: Int? { if case .number(let number) = self { number } else { nil } }
}

/// Reads strictly what `JSONObject` writes.
private struct JSONReader {
    private let bytes: [UInt8]
    private var position = 0

    init(_ text: String) { bytes = Array(text.utf8) }

    private var next: UInt8 { position < bytes.count ? bytes[position] : 0 }

    private mutating func take(_ character: Unicode.Scalar) -> Bool {
        guard next == UInt8(ascii: character) else { return false }
        position += 1
        return true
    }

    mutating func value() -> JSONValue? {
        switch next {
        case UInt8(ascii: "{"): return object()
        case UInt8(ascii: "\""): return string().map { .text($0) }
        default:
            let start = position
            while !Array(",}".utf8).contains(next), position < bytes.count { position += 1 }
            let word = String(decoding: bytes[start..<position], as: UTF8.self)
            return word.isEmpty ? nil : Int(word).map { .number($0) } ?? .other
        }
    }

    private mutating func object() -> JSONValue? {
        var members: [String: JSONValue] = [:]
        guard take("{") else { return nil }
        if take("}") { return .object(members) }
        repeat {
            guard let key = string(), take(":"), let value = value() else { return nil }
            members[key] = value
        } while take(",")
        return take("}") ? .object(members) : nil
    }

    private mutating func string() -> String? {
        guard take("\"") else { return nil }
        var text: [UInt8] = []
        while position < bytes.count {
            let byte = bytes[position]
            position += 1
            switch byte {
            case UInt8(ascii: "\""): return String(decoding: text, as: UTF8.self)
            case UInt8(ascii: "\\"): guard escaped(into: &text) else { return nil }
            default: text.append(byte)
            }
        }
        return nil
    }

    private mutating func escaped(into text: inout [UInt8]) -> Bool {
        let byte = next
        position += 1
        switch byte {
        case UInt8(ascii: "n"): text.append(10)
        case UInt8(ascii: "r"): text.append(13)
        case UInt8(ascii: "t"): text.append(9)
        case UInt8(ascii: "u"):
            // Only control characters are written so.
            guard position + 4 <= bytes.count,
                let code = UInt8(String(decoding: bytes[position..<position + 4], as: UTF8.self), radix: 16)
            else { return false }
            position += 4
            text.append(code)
        default: text.append(byte)
        }
        return true
    }
}
