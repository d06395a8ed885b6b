// The daemon as a publisher: what it tells about sessions, as JSON, sealed like everybody else's events.

import BusBroker
import BusCrypto
import BusWire
import FoundationEssentials

/// The key of one of the daemon's own topics.
final class OwnSealer {
    private let seal: UInt64
    private var sealer: Sealer
    private var ids = EventIDSource()
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
            try encoder.encode(SessionReport(advisory)).withUnsafeBytes {
                EventRecord.append(time: time, headers: OwnSealer.headers, payload: $0, to: &body)
            }
        }
        var head: [UInt8] = []
        let columns = BatchColumns()
        var columnBytes: [UInt8] = []
        columns.encode(into: &columnBytes)
        BatchHeader(
            eventCount: UInt32(advisories.count), seal: seal, counter: sealer.nextCounter,
            firstID: ids.reserve(UInt64(advisories.count), milliseconds: UInt64(max(0, time / 1000))),
            columnsLength: UInt32(columnBytes.count), bodyLength: UInt32(body.count + Sealer.overhead)
        ).encode(into: &head)
        head += columnBytes
        return try sealed(head, body)
    }

    private func sealed(_ head: [UInt8], _ body: [UInt8]) throws(CryptoError) -> SharedBytes {
        let storage = ByteStorage(capacity: head.count + body.count + Sealer.overhead)
        head.withUnsafeBytes { bytes in
            if let base = bytes.baseAddress { storage.base.copyMemory(from: base, byteCount: bytes.count) }
        }
        let authenticated = UnsafeRawBufferPointer(start: storage.base, count: head.count)
        let output = UnsafeMutableRawBufferPointer(
            start: storage.base + head.count, count: body.count + Sealer.overhead)
        var outcome: Result<Void, CryptoError> = .success(())
        body.withUnsafeBytes { plaintext in
            do throws(CryptoError) {
                try sealer.seal(authenticating: authenticated, plaintext: plaintext, into: output)
            } catch {
                outcome = .failure(error)
            }
        }
        try outcome.get()
        return SharedBytes(storage: storage, offset: 0, count: storage.capacity)
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

    init(_ advisory: Advisory) {
        switch advisory {
        case .sessionOpened(let id, let peer, let name): self.init(id, peer, name, nil)
        case .sessionClosed(let id, let peer, let name, let reason): self.init(id, peer, name, reason)
        }
    }

    private init(_ id: SessionID, _ peer: PeerIdentity, _ name: String, _ reason: Reason?) {
        session = id.rawValue
        uid = peer.uid
        gid = peer.gid
        pid = peer.pid
        self.name = name
        self.reason = reason?.name
    }
}
