// JSON lines, written directly: a hundred thousand events a second leave no time for trees of boxed values.

import BusClient

/// One JSON object under construction.
struct JSONObject {
    private(set) var text = "{"

    private mutating func key(_ name: String) {
        if text.utf8.count > 1 { text += "," }
        text += "\"\(name)\":"
    }

    mutating func add(_ name: String, _ value: String) {
        key(name)
        JSONObject.quote(value, into: &text)
    }

    mutating func add(_ name: String, _ value: some FixedWidthInteger) {
        key(name)
        text += "\(value)"
    }

    mutating func add(_ name: String, _ value: Bool) {
        key(name)
        text += value ? "true" : "false"
    }

    mutating func add(_ name: String, _ object: JSONObject) {
        key(name)
        text += object.closed
    }

    /// The object, whole.
    var closed: String { text + "}" }

    /// A string with everything escaped that JSON demands.
    static func quote(_ value: String, into text: inout String) {
        text += "\""
        for scalar in value.unicodeScalars {
            switch scalar {
            case "\"": text += "\\\""
            case "\\": text += "\\\\"
            case "\n": text += "\\n"
            case "\r": text += "\\r"
            case "\t": text += "\\t"
            case "\u{0}"..<"\u{20}", "\u{7f}":
                let digits = String(scalar.value, radix: 16)
                text += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: text.unicodeScalars.append(scalar)
            }
        }
        text += "\""
    }
}

/// Base64 after RFC 4648, with padding.
func base64(_ bytes: SharedBytes) -> String {
    let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
    return bytes.withUnsafeBytes { raw in
        var out: [UInt8] = []
        out.reserveCapacity((raw.count + 2) / 3 * 4)
        for start in stride(from: 0, to: raw.count, by: 3) {
            let group = raw[start..<min(start + 3, raw.count)]
            let word = group.reduce(UInt32(0)) { $0 << 8 | UInt32($1) } << UInt32(8 * (3 - group.count))
            for i in 0..<4 {
                let digit = alphabet[Int(word >> UInt32(18 - 6 * i)) & 63]
                out.append(i <= group.count ? digit : UInt8(ascii: "="))
            }
        }
        return String(decoding: out, as: UTF8.self)
    }
}

/// `2026-11-23T12:00:00.000000Z` of microseconds since 1970.
func timestamp(_ microseconds: Int64) -> String {
    let (seconds, fraction) = microseconds.quotientAndRemainder(dividingBy: 1_000_000)
    let (days, second) = (seconds / 86_400, seconds % 86_400)
    // Days to a date after Howard Hinnant's `civil_from_days`, for the years that a clock can show.
    let shifted = days + 719_468
    let era = shifted / 146_097
    let day = shifted - era * 146_097
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365
    let dayOfYear = day - (365 * year + year / 4 - year / 100)
    let month = (5 * dayOfYear + 2) / 153
    let date = dayOfYear - (153 * month + 2) / 5 + 1
    let calendarMonth = month < 10 ? month + 3 : month - 9
    let calendarYear = year + era * 400 + (calendarMonth <= 2 ? 1 : 0)
    func pad(_ number: Int64, _ width: Int) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }
    let clock = "\(pad(second / 3600, 2)):\(pad(second % 3600 / 60, 2)):\(pad(second % 60, 2))"
    return "\(pad(calendarYear, 4))-\(pad(calendarMonth, 2))-\(pad(date, 2))T\(clock).\(pad(fraction, 6))Z"
}
