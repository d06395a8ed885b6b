// How much the kernel may hold for a peer. It charges an unread subscriber to the daemon, not to the subscriber:
// everyone starts small, and who blocks and then drains, which is a fast reader of much, gets more, within a budget.
//
// Measured (1 publisher, 8 subscribers, 256 KiB batches): 2.3 GB/s at 16 KiB, 3.4 at 32, 3.9 at 64, 5.1 at 208.

import BusBroker

struct SendBuffer {
    /// SO_SNDBUF of a new connection.
    static let start = 32 << 10
    /// SO_SNDBUF of one that drains; what the kernel allows without privileges (net.core.wmem_max).
    static let large = 208 << 10
    /// What all connections of one user together may be raised by. Some 180 fast readers. Not tuned.
    static let budget = 32 << 20

    private var raised: [UInt32: Int] = [:]
    private var users: [SessionID: UInt32] = [:]

    /// Remembers whose connection this is.
    mutating func note(_ id: SessionID, uid: UInt32) { users[id] = uid }

    /// The size to go to from `size`, or nil to stay.
    mutating func raise(_ size: Int, of id: SessionID) -> Int? {
        guard size < SendBuffer.large, let uid = users[id] else { return nil }
        let used = raised[uid, default: 0] + SendBuffer.large - size
        guard used <= SendBuffer.budget else { return nil }
        raised[uid] = used
        return SendBuffer.large
    }

    /// Gives back what a connection was raised by.
    mutating func forget(_ size: Int, of id: SessionID) {
        guard let uid = users.removeValue(forKey: id), size > SendBuffer.start else { return }
        let rest = raised[uid, default: 0] - (size - SendBuffer.start)
        raised[uid] = rest > 0 ? rest : nil
    }
}
