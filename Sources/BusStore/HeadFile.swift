// The head file: what was committed last, beside the database and not in it.
//
// SQLite drops the tail of a damaged write-ahead log without a word: fewer rows, integrity "ok". So after each commit,
// and before anyone is told of it, its number and the next position are written here. A head that is ahead of the
// database at start means that commits are gone; positions then go on behind those in the head, so that none is given
// twice.
//
// Two slots of one sector each, written in turn, so that a torn write leaves the one before. Not synced: it is there
// for bits that flip while the machine runs on, and costs a `pwrite` of 64 bytes. Power that fails together with such
// a flip may take the head back to an older commit, and the loss is not seen then.

import BusWire
import CLinux
import Glibc

/// The last commit that was written down.
struct Head: Equatable {
    var incarnation: BusUUID
    var commit: UInt64
    var nextPosition: UInt64
}

/// The open head file.
final class HeadFile: @unchecked Sendable {
    private static let slotLength = 512
    private let descriptor: Int32
    private let path: String

    /// Opens or makes the file, at its full size.
    init(_ path: String) throws(StoreError) {
        self.path = path
        descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw .file(path: path, errno: errno, doing: "opening") }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw .file(path: path, errno: errno, doing: "looking at") }
        guard status.st_size < 2 * HeadFile.slotLength else { return }
        // Written and not only allocated, so that a full disk can't refuse a slot later.
        let empty = [UInt8](repeating: 0, count: 2 * HeadFile.slotLength)
        guard pwrite(descriptor, empty, empty.count, 0) == empty.count, fsync(descriptor) == 0 else {
            let failure = errno
            close(descriptor)
            throw .file(path: path, errno: failure, doing: "preallocating")
        }
    }

    deinit { close(descriptor) }

    /// The newer of the readable slots; nil if neither can be read.
    func read() -> Head? {
        let slots = (0..<2).compactMap(slot)
        return slots.max { $0.commit < $1.commit }
    }

    /// Whether nothing was ever written.
    var isBlank: Bool {
        var bytes = [UInt8](repeating: 1, count: 2 * HeadFile.slotLength)
        return pread(descriptor, &bytes, bytes.count, 0) == bytes.count && bytes.allSatisfy { $0 == 0 }
    }

    private func slot(_ index: Int) -> Head? {
        var bytes = [UInt8](repeating: 0, count: HeadFile.slotLength)
        guard pread(descriptor, &bytes, bytes.count, off_t(index * bytes.count)) == bytes.count else { return nil }
        return try? Head(record: [UInt8](bytes.prefix(Head.length)))
    }

    /// Writes `head` into the slot whose turn it is.
    func write(_ head: Head) throws(StoreError) {
        let record = head.record
        let place = off_t(Int(head.commit % 2) * HeadFile.slotLength)
        var written = pwrite(descriptor, record, record.count, place)
        while written < 0, errno == EINTR { written = pwrite(descriptor, record, record.count, place) }
        guard written == record.count else {
            throw .file(path: path, errno: written < 0 ? errno : ENOSPC, doing: "writing")
        }
    }

    /// Writes `head` and waits until it is on disk: at creation, and where power must not take it back.
    func writeSynced(_ head: Head) throws(StoreError) {
        try write(head)
        guard fsync(descriptor) == 0 else { throw .file(path: path, errno: errno, doing: "syncing") }
    }
}

extension Head: Recorded {
    static var table: RecordTable { .head }
    /// Table, incarnation, two numbers, checksum.
    static let length = 1 + 16 + 8 + 8 + 8

    func encode(into record: inout RecordWriter) {
        record.put(incarnation)
        record.put(commit)
        record.put(nextPosition)
    }

    init(from record: inout RecordReader) throws(RecordFault) {
        incarnation = try record.uuid()
        commit = try record.integer()
        nextPosition = try record.integer()
    }
}
