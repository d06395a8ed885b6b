// The salts seen lately, so that a publisher that would reuse one is told. Only a courtesy: uniqueness of keys rests
// on the publisher's 32 random bytes, never on the daemon.

import DequeModule

struct SaltHistory {
    private struct Prefix: Hashable {
        let a: UInt64
        let b: UInt64
    }

    private let countMax: Int
    private var seen: Set<Prefix> = []
    private var order: Deque<Prefix> = []

    init(countMax: Int) { self.countMax = countMax }

    /// Remembers a salt; false if it is remembered already. The first 16 of its 32 bytes tell them apart.
    mutating func insert(_ salt: [UInt8]) -> Bool {
        precondition(salt.count == 32, "the decoder reads exactly 32 bytes")
        let prefix = salt.withUnsafeBytes {
            Prefix(a: $0.loadUnaligned(as: UInt64.self), b: $0.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
        }
        guard seen.insert(prefix).inserted else { return false }
        order.append(prefix)
        if order.count > countMax { seen.remove(order.removeFirst()) }
        return true
    }
}
