// Portions without a broker, for what is tested without one.

import BusSimulation
import BusWire

@testable import BusBroker

/// Makes portions of topics, each topic with a number of its own.
final class Portions {
    private var seals: [String: Seal] = [:]
    private var nextNumber: UInt64 = 1
    let account = Account(uid: 1, Quotas())

    /// Events `first` and following of a topic.
    func make(_ topic: String, at first: UInt64, events: UInt32 = 1, payload: Int = 0) throws -> Portion {
        let seal = try seal(topic)
        let bytes = SampleBatch(seal: 1, counter: 0, eventCount: events, payloadLength: payload).bytes
        return Portion(AcceptedBatch(seal: seal, bytes: bytes, firstSequence: first, eventCount: events, time: 0))
    }

    func seal(_ name: String) throws -> Seal {
        if let seal = seals[name] { return seal }
        let topic = TopicState(name: try Topic(name), number: nextNumber, account: account, settings: .live)
        let seal = Seal(
            number: 1, topic: topic, salt: [], publisher: PeerIdentity(uid: 1, gid: 1), name: "", account: account,
            limits: .normal)
        seals[name] = seal
        nextNumber += 1
        return seal
    }
}
