// Storage that is filled piece by piece, by many in turn.
//
// Received bytes of all connections land in one such area, prefixes of all writes in another. That is why an idle
// connection holds no buffer and why a busy one allocates none. Guarantees that a piece handed out is never
// written again while somebody references its storage. Keeps a few storages that are still referenced, to use
// them again; leaves it to the holders to copy what they keep for long.

import BusWire

struct StorageArea {
    /// Where the next piece goes: `storage.base + position`.
    private(set) var storage: ByteStorage
    private(set) var position = 0
    private var aside: [ByteStorage] = []

    /// Eight storages put aside are looked through in a few nanoseconds, and cover the rounds in which a handful
    /// of blocked connections hold on to theirs. Not tuned.
    private static let asideMax = 8

    init(capacity: Int) {
        storage = ByteStorage(capacity: capacity)
        aside.reserveCapacity(Self.asideMax)
    }

    /// Bytes that can be filled now.
    var room: Int { storage.capacity - position }

    /// Makes room for `count` bytes, at most the capacity: from the beginning when nobody looks at earlier pieces.
    mutating func makeRoom(_ count: Int) {
        precondition(count <= storage.capacity, "the caller bounds its pieces")
        if isKnownUniquelyReferenced(&storage) {
            position = 0
        } else if room < count {
            replaceStorage()
        }
    }

    /// Notes that `count` bytes at `position` have been filled.
    mutating func commit(_ count: Int) {
        position = min(position + count, storage.capacity)
    }

    /// Begins the next piece at an aligned address, away from the one before.
    mutating func align() {
        position = min((position + 15) & ~15, storage.capacity)
    }

    private mutating func replaceStorage() {
        position = 0
        for index in aside.indices where isKnownUniquelyReferenced(&aside[index]) {
            swap(&storage, &aside[index])
            return
        }
        if aside.count < Self.asideMax { aside.append(storage) }
        storage = ByteStorage(capacity: storage.capacity)
    }
}
