// What a connection knows of one topic it publishes on: the seal, and the batch that gathers events.

import BusCrypto
import BusWire

final class TopicPublisher {
    let topic: Topic
    var seal = SealState.none
    /// The number of the seal while it is open.
    var sealNumber: UInt64?
    /// The batch that gathers events.
    var open: OutgoingBatch?
    var batchLengthMax = Limits.batchLengthMax
    var batchEventCountMax = Limits.batchEventCountMax
    /// The longest payload of one event, as the daemon said with the seal; without one nothing is known.
    var payloadLengthMax = Int.max

    /// Where the seal stands. It ends with its connection.
    enum SealState: ~Copyable {
        /// Not asked for.
        case none
        /// Asked for with this salt.
        case opening(SealSalt)
        /// Granted.
        case open(number: UInt64, Sealer)

        /// Whether it has to be asked for.
        var isNone: Bool {
            switch self {
            case .none: true
            default: false
            }
        }

        /// Whether it was asked for and not answered.
        var isOpening: Bool {
            switch self {
            case .opening: true
            default: false
            }
        }

        /// Whether batches can be sealed.
        var isOpen: Bool {
            switch self {
            case .open: true
            default: false
            }
        }
    }

    init(_ topic: Topic) { self.topic = topic }

    /// A payload that this topic doesn't take isn't gathered. What is gathered before the limit is known is checked when
    /// it leaves.
    func check(payloadLength: Int) throws(BusError) {
        guard payloadLength > payloadLengthMax else { return }
        throw .tooLarge(
            "a payload of \(payloadLength) bytes, at most \(payloadLengthMax) are allowed on topic \(topic)")
    }
}
