// A table on a terminal or in a pipe: headings, aligned columns, and on a terminal no line longer than it is wide.

import CLinux
import Glibc

/// Rows in columns.
struct Table {
    /// A column's heading and how it stands.
    struct Column: Sendable {
        enum Alignment: Sendable {
            /// Texts.
            case left
            /// Numbers, so that their digits stand below each other.
            case right
        }

        let heading: String
        let alignment: Alignment
        /// Whether it may be cut to fit: names may, numbers may not.
        let isFlexible: Bool
    }

    private static let gap = "  "
    /// A flexible column is readable down to this.
    private static let flexibleMin = 12

    private let columns: [Column]
    private var rows: [[String]] = []

    init(_ columns: [Column]) { self.columns = columns }

    mutating func add(_ cells: [String]) { rows.append(cells) }

    /// The lines, the heading first if there is one. A column without any content is left out.
    ///
    /// - Parameter width: what there is; nil for a pipe, where nothing is cut.
    func lines(width: Int?) -> [String] {
        let shown = columns.indices.filter { column in rows.isEmpty || rows.contains { !$0[column].isEmpty } }
        var widths = shown.map { column in
            rows.reduce(Text.width(columns[column].heading)) { max($0, Text.width($1[column])) }
        }
        if let width { shrink(&widths, shown, to: width) }
        let heading = columns.map(\.heading)
        return ((heading.allSatisfy(\.isEmpty) ? [] : [heading]) + rows).map { cells in
            let line = zip(shown, widths).map { column, width in
                let cell = columns[column].isFlexible ? Text.shortened(cells[column], to: width) : cells[column]
                return columns[column].alignment == .left ? Text.left(cell, width) : Text.right(cell, width)
            }.joined(separator: Table.gap)
            return trimmed(line)
        }
    }

    /// Takes from the widest flexible column until the line fits.
    private func shrink(_ widths: inout [Int], _ shown: [Int], to limit: Int) {
        let gaps = Table.gap.count * max(0, shown.count - 1)
        while widths.reduce(gaps, +) > limit {
            let flexible = shown.indices.filter { columns[shown[$0]].isFlexible && widths[$0] > Table.flexibleMin }
            guard let widest = flexible.max(by: { widths[$0] < widths[$1] }) else { return }
            widths[widest] -= 1
        }
    }

    private func trimmed(_ line: String) -> String {
        var line = Substring(line)
        while line.last == " " { line.removeLast() }
        return String(line)
    }

    /// Prints it, the heading in bold where that is wanted.
    func print() {
        var text = ""
        for (index, line) in lines(width: Standard.outputWidth).enumerated() {
            text += (index == 0 && Standard.outputIsColoured ? "\u{1b}[1m\(line)\u{1b}[0m" : line) + "\n"
        }
        Standard.output(text)
    }
}

extension Standard {
    /// How wide a terminal standard output is: COLUMNS, else what the kernel says; nil when it is none.
    static var outputWidth: Int? {
        if let columns = getenv("COLUMNS").flatMap({ Int(String(cString: $0)) }), columns > 0 { return columns }
        var size = winsize()
        guard isatty(1) == 1, ioctl(1, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return nil }
        return Int(size.ws_col)
    }

    /// Whether standard output is a terminal whose user hasn't refused colours.
    static var outputIsColoured: Bool {
        isatty(1) == 1 && !(getenv("NO_COLOR").map { $0.pointee != 0 } ?? false)
    }
}
