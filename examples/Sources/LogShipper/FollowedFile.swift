// A file that grows, as `tail -F` sees it.

import Glibc

/// Gives the lines of a file as they come, from its beginning, also after it was rotated or truncated.
struct FollowedFile {
    private let path: String
    private var descriptor: CInt = -1
    private var position: off_t = 0
    private var rest: [UInt8] = []

    init(_ path: String) { self.path = path }

    /// Lines that are complete by now, without their line ends; at most some 256 KiB at once.
    mutating func newLines() throws -> [[UInt8]] {
        if descriptor < 0 { try open() }
        var chunk = [UInt8](repeating: 0, count: 256 << 10)
        let n = read(descriptor, &chunk, chunk.count)
        guard n > 0 else {
            try lookForAnother()
            return []
        }
        position += off_t(n)
        rest += chunk[..<n]
        guard let end = rest.lastIndex(of: UInt8(ascii: "\n")) else { return [] }
        let lines = rest[..<end].split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        rest.removeSubrange(...end)
        return lines.map { Array($0) }
    }

    private mutating func open() throws {
        descriptor = Glibc.open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw FileError(path: path, reason: String(cString: strerror(errno))) }
        position = 0
        rest = []
    }

    /// At the end of the file: is it still the one of that name, and as long as it was?
    private mutating func lookForAnother() throws {
        var (named, ours) = (stat(), stat())
        // While it is being rotated there may be none of that name.
        guard stat(path, &named) == 0, fstat(descriptor, &ours) == 0 else { return }
        guard named.st_ino != ours.st_ino || named.st_dev != ours.st_dev || ours.st_size < position else { return }
        close(descriptor)
        try open()
    }
}

/// A file that can't be read.
struct FileError: Error, CustomStringConvertible {
    let path: String
    let reason: String

    var description: String { "\(path): \(reason)" }
}
