// Plain text in columns: padding, wrapping, cutting, and numbers as people read them.

enum Text {
    static func left(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(0, width - Text.width(text)))
    }

    static func right(_ text: String, _ width: Int) -> String {
        String(repeating: " ", count: max(0, width - Text.width(text))) + text
    }

    /// How many columns of a terminal a text takes: two for a character of East Asia or an emoji.
    static func width(_ text: String) -> Int {
        text.reduce(0) { sum, character in
            let isWide = character.unicodeScalars.contains { scalar in wide.contains { $0.contains(scalar.value) } }
            return sum + (isWide ? 2 : 1)
        }
    }

    /// Unicode's East Asian Width, W and F, by blocks: a column wrong in a rare name is no harm.
    private static let wide: [ClosedRange<UInt32>] = [
        0x1100...0x115f, 0x2e80...0x303e, 0x3041...0xa4cf, 0xac00...0xd7a3, 0xf900...0xfaff, 0xfe30...0xfe6f,
        0xff00...0xff60, 0xffe0...0xffe6, 0x1f300...0x1f64f, 0x1f680...0x1f6ff, 0x1f900...0x1f9ff, 0x20000...0x3fffd,
    ]

    /// As many columns as there are, what is cut out of the middle shown by an ellipsis: both ends of a topic tell
    /// what it is.
    static func shortened(_ text: String, to width: Int) -> String {
        guard Text.width(text) > width else { return text }
        var (head, tail) = (text[...].prefix(text.count / 2), text[...].suffix(text.count - text.count / 2))
        while Text.width(String(head)) + 1 + Text.width(String(tail)) > max(width, 1), !(head.isEmpty && tail.isEmpty) {
            if head.count >= tail.count { head.removeLast() } else { tail.removeFirst() }
        }
        return head + "…" + tail
    }

    /// A text of somebody else's choosing that can't move the cursor: control characters as escapes.
    static func harmless(_ text: String) -> String {
        var result = ""
        for scalar in text.unicodeScalars {
            if scalar.properties.generalCategory == .control {
                result += "\\u{\(String(scalar.value, radix: 16))}"
            } else {
                result.unicodeScalars.append(scalar)
            }
        }
        return result
    }

    /// `1,234,567`
    static func grouped(_ number: some BinaryInteger) -> String {
        let digits = Array(String(number))
        var text = ""
        for (i, digit) in digits.enumerated() {
            if i > 0, (digits.count - i) % 3 == 0 { text += "," }
            text.append(digit)
        }
        return text
    }

    static func decimal(_ value: Double, places: Int) -> String {
        let scale = (0..<places).reduce(1) { product, _ in product * 10 }
        let scaled = Int((value * Double(scale)).rounded())
        guard places > 0 else { return "\(scaled)" }
        let digits = String(repeating: "0", count: max(0, places + 1 - "\(abs(scaled))".count)) + "\(abs(scaled))"
        return (scaled < 0 ? "-" : "") + digits.dropLast(places) + "." + digits.suffix(places)
    }

    static func wrapped(_ text: String, to width: Int) -> [String] {
        var lines: [String] = []
        for word in text.split(separator: " ") {
            if let last = lines.last, Text.width(last) + 1 + Text.width(String(word)) <= width {
                lines[lines.count - 1] = last + " " + word
            } else {
                lines.append(String(word))
            }
        }
        return lines
    }

    /// Sixteen bytes a line, with what is printable beside them.
    static func hexDump(_ bytes: [UInt8], lineCount: Int) -> [String] {
        stride(from: 0, to: min(bytes.count, lineCount * 16), by: 16).map { start in
            let row = bytes[start..<min(start + 16, bytes.count)]
            let hex = row.map { right(String($0, radix: 16), 2).replacing(" ", with: "0") }.joined(separator: " ")
            let letters = row.map { 0x20..<0x7f ~= $0 ? String(Unicode.Scalar($0)) : "·" }.joined()
            return "\(right(String(start, radix: 16), 4).replacing(" ", with: "0"))  \(left(hex, 47))  \(letters)"
        }
    }
}
