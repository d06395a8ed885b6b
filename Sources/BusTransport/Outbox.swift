// What a connection has still to write.
//
// Guarantees the order of bytes and an account of them to the byte. Keeps references to shared bytes and to prefix
// storage, never copies, as long as the round lasts; what outlives it is compacted, so that a peer that does not
// read pins little more than what it is owed. Leaves the system call to the connection. Pooled by the reactor: a
// connection with nothing to write has none.

import BusWire
import CLinux
import Glibc

final class Outbox {
    private struct Entry {
        var base: UnsafeRawPointer
        var count: Int
        /// Keeps `base` alive; nil once written.
        var storage: ByteStorage?
    }

    private var entries: [Entry] = []
    private var head = 0
    private var compacted = 0
    /// Bytes not yet written.
    private(set) var pending = 0

    /// Bounds the work of one `sendmsg`; a peer that reads as fast as we write could keep it going. Not tuned.
    static let bytesPerSendMax = 4 << 20
    /// Entries that fill less than this part of their storage are copied out when they outlive their round: a
    /// blocked connection pins at most eight times what it is owed, and copies at most 32 KiB each (an eighth of
    /// the receive storage). Not tuned.
    private static let pinnedShareMin = 8
    /// An outbox that grew beyond this (6 KiB) is not kept in the pool. Not tuned.
    private static let entriesKeptMax = 256

    var isEmpty: Bool { pending == 0 }
    var isWorthKeeping: Bool { entries.capacity <= Self.entriesKeptMax }

    /// Adds bytes that `storage` keeps alive. Bytes right behind the last ones become part of their entry.
    func append(_ base: UnsafeRawPointer, count: Int, storage: ByteStorage) {
        guard count > 0 else { return }
        pending += count
        let last = entries.count - 1
        if last >= head, entries[last].base + entries[last].count == base, entries[last].storage === storage {
            entries[last].count += count
            compacted = min(compacted, last)
        } else {
            entries.append(Entry(base: base, count: count, storage: storage))
        }
    }

    /// Describes the next bytes for `sendmsg`; returns how many vectors and bytes these are.
    func gather(into vectors: UnsafeMutablePointer<iovec>, capacity: Int) -> (vectors: Int, bytes: Int) {
        var bytes = 0
        var used = 0
        while used < capacity, head + used < entries.count, bytes < Self.bytesPerSendMax {
            let entry = entries[head + used]
            let count = min(entry.count, Self.bytesPerSendMax - bytes)
            vectors[used] = iovec(iov_base: UnsafeMutableRawPointer(mutating: entry.base), iov_len: count)
            bytes += count
            used += 1
        }
        return (used, bytes)
    }

    /// Forgets the first `count` bytes: the kernel has them.
    func advance(_ count: Int) {
        precondition(count <= pending, "the kernel took more than it was given")
        pending -= count
        if pending == 0 { return reset() }
        var rest = count
        while rest >= entries[head].count {
            rest -= entries[head].count
            entries[head].storage = nil
            head += 1
        }
        entries[head].base += rest
        entries[head].count -= rest
        compacted = max(compacted, head)
        if head > Self.entriesKeptMax && head > entries.count / 2 { dropWritten() }
    }

    /// Forgets everything.
    func reset() {
        entries.removeAll(keepingCapacity: true)
        head = 0
        compacted = 0
        pending = 0
    }

    /// Copies together what would pin much more storage than it needs. Each byte is copied at most once.
    func compact() {
        var bytes = 0
        for index in compacted..<entries.count where pinsTooMuch(entries[index]) { bytes += entries[index].count }
        if bytes > 0 { copyOut(bytes) }
        compacted = entries.count
    }

    private func pinsTooMuch(_ entry: Entry) -> Bool {
        entry.storage.map { entry.count * Self.pinnedShareMin < $0.capacity } ?? false
    }

    private func copyOut(_ bytes: Int) {
        let storage = ByteStorage(capacity: bytes)
        var position = 0
        for index in compacted..<entries.count where pinsTooMuch(entries[index]) {
            let count = entries[index].count
            storage.base.advanced(by: position).copyMemory(from: entries[index].base, byteCount: count)
            entries[index].base = UnsafeRawPointer(storage.base + position)
            entries[index].storage = storage
            position += count
        }
    }

    private func dropWritten() {
        entries.removeSubrange(0..<head)
        compacted = max(0, compacted - head)
        head = 0
    }

    /// Bytes of storage this outbox keeps alive, each storage counted once for each entry that refers to it.
    var pinned: Int { entries[head...].reduce(0) { $0 + ($1.storage?.capacity ?? 0) } }
}
