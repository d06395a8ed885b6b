// An event as an application gets it: a window on its opened batch. What isn't asked for isn't decoded.

public import BusWire

/// A received event.
public struct Event: Sendable {
    /// The batch it came in.
    public let batch: EventBatch
    /// Its place in that batch.
    public let index: Int
    private let record: EventRecord

    init(_ batch: EventBatch, _ index: Int, _ record: EventRecord) {
        self.batch = batch
        self.index = index
        self.record = record
    }

    /// Its id.
    public var id: BusUUID { batch.id(at: index) }
    /// Its topic.
    public var topic: Topic { batch.topic }
    /// Its position in its topic.
    public var sequence: UInt64 { batch.baseSequence + UInt64(index) }
    /// Whether it was kept for whoever asks later, rather than published now.
    public var isStored: Bool { batch.isStored }
    /// Of requests: where answers go.
    public var replyTo: Topic? { batch.columns.replyTo[index].flatMap { try? Topic(bytes: $0) } }
    /// The conversation it belongs to: its own id unless its publisher said otherwise.
    public var correlation: BusUUID {
        let named = batch.columns.correlation[index] ?? .zero
        return named.isZero ? id : named
    }
    /// The event that caused it.
    public var causation: BusUUID? { batch.columns.causation[index].flatMap { $0.isZero ? nil : $0 } }
    /// When the daemon accepted it, microseconds since 1970.
    public var time: Int64 { batch.time }
    /// When it was published by its publisher's clock, microseconds since 1970.
    public var publishedAt: Int64 { record.time }
    /// Who published it.
    public var publisher: Publisher { batch.publisher }
    /// Its headers.
    public var headers: [EventHeader] { record.headers }
    /// Its payload, a window on the batch.
    public var payload: SharedBytes { record.payload }
    /// 1 the first time, more when it is redelivered.
    public var attempt: Int { batch.attempt }
    /// Whether it may have been delivered before without the daemon knowing: it was started anew since.
    public var mayBeRepeated: Bool { batch.mayBeRepeated }
    /// The payload as text; bytes that are no UTF-8 are replaced.
    public var text: String { payload.withUnsafeBytes { String(decoding: $0, as: UTF8.self) } }
}

/// Who published an event: by the kernel's word, and by its own.
public struct Publisher: Sendable, Equatable {
    /// Its user.
    public let uid: UInt32
    /// Its group.
    public let gid: UInt32
    /// What it calls itself; not to be trusted.
    public let name: String
}

/// Events that were missed, told in their place.
public struct Missed: Sendable, Equatable {
    /// How many; nil when that can't be known.
    public let count: UInt64?
    /// On which topic; nil when that can't be known.
    public let topic: Topic?
    /// The first position missed; 0 when unknown.
    public let firstSequence: UInt64
    /// The last position missed; 0 when unknown.
    public let lastSequence: UInt64
    /// Why.
    public let reason: Reason
}
