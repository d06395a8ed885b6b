// Files of names and bytes: one line each, `name hex`. Read beside this source file, so the package needs no
// resources.

import Glibc

/// A file below Golden, read whole.
struct GoldenFile {
    /// Names and bytes, in the file's order.
    private(set) var lines: [(name: String, bytes: [UInt8])] = []

    struct Unreadable: Error {
        let path: String
        let line: Int
    }

    init(_ name: String, beside source: String = #filePath) throws {
        let path = source.split(separator: "/").dropLast().reduce("") { $0 + "/" + $1 } + "/Golden/" + name
        guard let file = fopen(path, "r") else { throw Unreadable(path: path, line: 0) }
        defer { fclose(file) }
        var content: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 4096)
        while case let count = fread(&chunk, 1, chunk.count, file), count > 0 { content += chunk[..<count] }
        for (i, line) in String(decoding: content, as: UTF8.self).split(separator: "\n").enumerated() {
            if line.hasPrefix("#") { continue }
            let parts = line.split(separator: " ")
            guard parts.count == 2, let bytes = GoldenFile.bytes(parts[1]) else {
                throw Unreadable(path: path, line: i + 1)
            }
            lines.append((String(parts[0]), bytes))
        }
    }

    /// The bytes of the line with this name.
    subscript(name: String) -> [UInt8]? { lines.first { $0.name == name }?.bytes }

    private static func bytes(_ hex: Substring) -> [UInt8]? {
        let digits = hex.utf8.compactMap { Character(Unicode.Scalar($0)).hexDigitValue }
        guard digits.count == hex.utf8.count, digits.count.isMultiple(of: 2) else { return nil }
        return stride(from: 0, to: digits.count, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
    }
}
