// A publisher of durable topics: it keeps what has no receipt, and sends it again under the same ids.

import BusBroker
import BusWire

/// Something that was published and isn't known to be stored.
struct Unreceipted {
    let topic: String
    let firstID: BusUUID
    let eventCount: UInt32
    let payloadLength: Int
    let keys: [UInt64]
    /// When it is to be published; nil: at once.
    var due: Int64?
    /// Whether it was sent before.
    var isAgain = false
    /// When it was sent last, by what the broker was told.
    var sentAt: UInt64 = 0
    /// Its number on the connection; 0 where it wasn't sent over this one.
    var number: UInt64 = 0
}

/// One publishing process.
final class DurablePublisher {
    let uid: UInt32
    var session: SessionID?
    /// Seals that are open on its connection, by topic, and the next counter of each.
    var seals: [String: (number: UInt64, counter: UInt64)] = [:]
    var nextPublish: UInt64 = 1
    /// In the order in which they were published.
    var outbox: [Unreceipted] = []

    init(uid: UInt32) { self.uid = uid }

    /// The connection is gone; what it sent may have been stored.
    func disconnect() {
        session = nil
        seals = [:]
        nextPublish = 1
        for index in outbox.indices {
            outbox[index].isAgain = outbox[index].isAgain || outbox[index].number != 0
            outbox[index].number = 0
        }
    }
}
