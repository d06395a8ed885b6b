// The daemon as a publisher: what it tells about sessions and dead letters, as JSON, sealed like everybody else's events.

import BusBroker
import BusCrypto
import BusWire
import FoundationEssentials

/// The key of one of the daemon's own topics.
final class OwnSealer {
    private let seal: UInt64
    private var sealer: Sealer
    private var ids = EventIDSource()
    private var scratch: [UInt8] = []
    private let encoder = JSONEncoder()
    private static let headers = [EventHeader("content-type", "application/json")]

    init(_ material: consuming SealGrant, seal: UInt64) {
        self.seal = seal
        sealer = Sealer(material)
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    }

    /// The advisories as the events of one batch.
    ///
    /// - Parameter time: microseconds since 1970.
    func seal(_ advisories: [Advisory], at time: Int64) throws -> SharedBytes {
        var body: [UInt8] = []
        for advisory in advisories {
            try encode(advisory).withUnsafeBytes {
                EventRecord.append(time: time, headers: OwnSealer.headers, payload: $0, to: &body)
            }
        }
        let header = BatchHeader(
            eventCount: UInt32(advisories.count), seal: seal, counter: sealer.nextCounter,
            firstID: ids.reserve(UInt64(advisories.count), milliseconds: UInt64(max(0, time / 1000))),
            columnsLength: 0, bodyLength: 0)
        return try SealedBatch.assemble(header, BatchColumns(), body: body, scratch: &scratch) {
            (authenticated, plaintext, output) throws(CryptoError) in
            try sealer.seal(authenticating: authenticated, plaintext: plaintext, into: output)
        }
    }

    private func encode(_ advisory: Advisory) throws -> Data {
        switch advisory {
        case .sessionOpened(let id, let peer, let name): try encoder.encode(SessionReport(id, peer, name, nil))
        case .sessionClosed(let id, let peer, let name, let reason):
            try encoder.encode(SessionReport(id, peer, name, reason))
        case .deadLetter(let word): try encoder.encode(DeadLetterReport(word))
        }
    }
}

/// What is told of a session that came or went.
private struct SessionReport: Encodable {
    let session: UInt64
    let uid: UInt32
    let gid: UInt32
    let pid: Int32
    let name: String
    let reason: String?

    init(_ id: SessionID, _ peer: PeerIdentity, _ name: String, _ reason: Reason?) {
        session = id.rawValue
        uid = peer.uid
        gid = peer.gid
        pid = peer.pid
        self.name = name
        self.reason = reason?.name
    }
}

/// What is told of a dead letter. Names are those of a listing of dead letters where it has the same.
private struct DeadLetterReport: Encodable {
    let subscription: String
    let id: String
    let topic: String
    let sequence: UInt64
    let lastSequence: UInt64
    let events: UInt64
    let attempts: UInt16
    let reason: String
    let message: String
    let dead: UInt64

    private enum CodingKeys: String, CodingKey {
        case subscription, id, topic, sequence, events, attempts, reason, message, dead
        case lastSequence = "last_sequence"
    }

    init(_ word: DeadLetterWord) {
        subscription = word.subscription.description
        id = word.id.description
        topic = word.topic.description
        sequence = word.sequences.lowerBound
        lastSequence = word.sequences.upperBound
        events = word.eventCount
        attempts = word.attempts
        reason = word.reason.name
        message = word.message
        dead = word.deadCount
    }
}
