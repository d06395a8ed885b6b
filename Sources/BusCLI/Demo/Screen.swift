// How the demo looks: sections, sentences, commands and their output, in colour where that is wanted.

import Glibc

/// Standard output as a story.
final class Screen {
    /// What fits: narrower than most terminals, so that nothing is wrapped by one.
    private static let width = 92
    private let isColoured = isatty(1) == 1 && !Screen.isSet("NO_COLOR")
    private var sectionCount = 0

    enum Style: String {
        case bold = "1"
        case dim = "2"
        case green = "32"
        case yellow = "33"
        case cyan = "36"
    }

    func styled(_ text: String, _ style: Style) -> String {
        isColoured ? "\u{1b}[\(style.rawValue)m\(text)\u{1b}[0m" : text
    }

    func title(_ text: String) { write("\n" + styled(text, .bold) + "\n") }

    /// Begins a numbered section, with what is going to be seen.
    func section(_ heading: String, _ sentence: String) throws {
        try Interruption.check()
        sectionCount += 1
        write("\n" + styled("\(sectionCount). \(heading)", .bold) + "\n")
        for line in Text.wrapped(sentence, to: Screen.width - 3) { write("   \(line)\n") }
        write("\n")
    }

    /// A command that was run, with a note beside it.
    func command(_ text: String, _ note: String = "") {
        let remark = note.isEmpty ? "" : styled("  # \(note)", .dim)
        write("   " + styled("$ \(note.isEmpty ? text : Text.left(text, 42))", .cyan) + remark + "\n")
    }

    /// A line of real output.
    func line(_ text: String) { write("     \(text)\n") }

    /// A remark in passing.
    func remark(_ text: String) { line(styled(text, .dim)) }

    /// Something that was checked.
    func holds(_ sentence: String) {
        let lines = Text.wrapped(sentence, to: Screen.width - 5)
        for (index, line) in lines.enumerated() {
            write(index == 0 ? "   " + styled("✓", .green) + " \(line)\n" : "     \(line)\n")
        }
    }

    private static func isSet(_ variable: String) -> Bool { getenv(variable).map { $0.pointee != 0 } ?? false }

    func blank() { write("\n") }

    private func write(_ text: String) {
        var bytes = Array(text.utf8)[...]
        while !bytes.isEmpty {
            let n = bytes.withUnsafeBytes { Glibc.write(1, $0.baseAddress!, $0.count) }
            if n < 0, errno == EINTR { continue }
            // Nobody reads any more: the next check ends the demo in order.
            guard n > 0 else { return Interruption.note(SIGPIPE) }
            bytes = bytes.dropFirst(n)
        }
    }
}
