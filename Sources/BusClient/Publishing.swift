// Publishing, from the application's call to the receipt: what gathers, who waits, and what a lost connection means.
// Sending is in Publishing+Sending.swift, the daemon's answers in Publishing+Answers.swift.
//
// The batching rule: at the end of a round all open batches are sealed and leave in one `sendmsg` if fewer than four
// are under way, or the daemon acknowledged anything in this round; otherwise they gather events until it does, or
// until they are full. A quiet bus adds no delay, a busy one batches by itself; there is no timer.
//
// Order: batches leave in the order in which they were closed, and what has no receipt when a connection is lost is
// sent again before anything else, sealed anew with the same ids, and marked, so that the daemon looks whether it has
// them. Requests and answers are not: who asks decides
// whether to ask again, and the right to an answer ends with the connection.

import BusCrypto
import BusWire
import DequeModule

/// The publishing side of a connection. Confined to its reactor.
final class Publishing {
    unowned let core: ClientCore
    private var topics: [Topic: TopicPublisher] = [:]
    /// Topics with an open batch, in the order in which these began.
    var gathering: [TopicPublisher] = []
    /// Closed batches that wait for their seal or for the window.
    var outgoing: Deque<OutgoingBatch> = []
    /// Sent, without receipt: publish numbers up to `lastNumber`.
    var inFlight: Deque<OutgoingBatch> = []
    var lastNumber: UInt64 = 0
    var inFlightLength = 0
    /// Refusals that came before the progress that covers them.
    var refusals: [UInt64: (Reason, String)] = [:]
    var sealRequests: [UInt32: TopicPublisher] = [:]
    var nextSealRequest: UInt32 = 1
    /// By the seals' numbers.
    var openSeals: [UInt64: TopicPublisher] = [:]
    private var replyTopics = RecentTopics(countMax: Publishing.replySealsMax)
    private var ids = EventIDSource()
    var scratch: [UInt8] = []
    private var spareBodies: [[UInt8]] = []
    /// Whether the daemon acknowledged something since the last round's end.
    var hasProgress = false
    /// Bytes of the batches that were full and closed since the last round's end.
    var closedLength = 0
    /// Plaintext bytes held: gathered, closed and in flight.
    private(set) var heldLength = 0
    let roomWaiters: Waiters
    let drainWaiters: Waiters
    private var nextWaiter: UInt64 = 1
    /// The last publish sent whose progress the daemon was asked to tell at once.
    var lastAsked: UInt64 = 0

    /// So many batches leave at once although the daemon hasn't acknowledged the ones before; the last of them asks it
    /// to. Telling progress wakes the publisher: on a quiet bus one time in four is enough.
    static let eagerCount = 4
    /// Up to this length a batch counts as one of a quiet bus. Not tuned.
    static let eagerLengthMax = 16 << 10
    /// So much leaves together while more is gathered: one full batch of an ordinary topic, several of one with lower
    /// bounds. Below, the daemon and everyone behind it would wake for too little. Not tuned.
    static let roundLength = 128 << 10
    /// A seal is mended by a new one so often, then its batch is given up.
    static let resealsMax = 3
    /// Requesters whose reply topics' seals are kept open. Not tuned.
    static let replySealsMax = 256
    /// Plaintext buffers kept for the next batch. Not tuned.
    private static let spareBodiesMax = 8

    init(_ core: ClientCore) {
        self.core = core
        roomWaiters = Waiters(on: core.reactor)
        drainWaiters = Waiters(on: core.reactor)
    }

    var isIdle: Bool { gathering.isEmpty && outgoing.isEmpty && inFlight.isEmpty }
    var hasRoom: Bool { heldLength < core.options.bufferLengthMax }
    /// Whether what was closed is worth sending before more is gathered.
    var isRoundFull: Bool { closedLength >= Publishing.roundLength }

    // MARK: Gathering

    /// Adds an event to its topic's batch and returns the batch it is in.
    func gather(
        _ payload: UnsafeRawBufferPointer, on topic: TopicPublisher, headers: [EventHeader] = [],
        marks: EventMarks = EventMarks(), for publisher: WindowedPublisher.Link? = nil
    ) -> OutgoingBatch {
        let time = core.wallClock
        let length = EventRecord.length(ofPayload: payload.count, headers: headers)
        if let open = topic.open {
            let fits = open.hasRoom(for: length, marks.columns) && marks.due == nil
            if open.traits != marks.traits || !fits { close(topic) }
        }
        let batch = topic.open ?? begin(topic, marks.traits, time: time)
        batch.append(payload: payload, headers: headers, marks: marks, time: time)
        if let publisher { batch.note(publisher) }
        heldLength += length
        batch.due = marks.due
        // What is to be published later goes alone, so that it can be taken back alone.
        if batch.eventCount >= topic.batchEventCountMax || batch.due != nil { close(topic) }
        core.requestFlush()
        return batch
    }

    func gather(
        _ event: OutgoingEvent, on topic: TopicPublisher, _ marks: EventMarks,
        for publisher: WindowedPublisher.Link? = nil
    ) -> OutgoingBatch {
        event.payload.withUnsafeBytes {
            gather($0, on: topic, headers: event.headers, marks: marks, for: publisher)
        }
    }

    /// An event with nothing but what the application said.
    func gather(_ event: OutgoingEvent, on topic: TopicPublisher, wantsReceipt: Bool) -> OutgoingBatch {
        gather(event, on: topic, marks(event, on: topic, wantsReceipt: wantsReceipt))
    }

    func marks(_ event: OutgoingEvent, on topic: TopicPublisher, wantsReceipt: Bool = false) -> EventMarks {
        EventMarks(event, on: topic.topic, at: core.wallClock, wantsReceipt: wantsReceipt)
    }

    /// Several events as one batch, of which they are all: they were found to fit into one, and what becomes of them is
    /// nobody else's affair.
    func gatherTogether(_ events: [OutgoingEvent], on topic: TopicPublisher) -> OutgoingBatch {
        close(topic)
        let time = core.wallClock
        var traits = marks(events[events.count - 1], on: topic, wantsReceipt: true).traits
        if events.contains(where: { $0.id != nil }) { traits.insert(.isAgain) }
        let batch = begin(topic, traits, time: time, isTogether: true)
        for event in events {
            heldLength += EventRecord.length(ofPayload: event.payload.count, headers: event.headers)
            event.payload.withUnsafeBytes {
                batch.append(payload: $0, headers: event.headers, marks: marks(event, on: topic), time: time)
            }
        }
        close(topic)
        core.requestFlush()
        return batch
    }

    private func begin(
        _ topic: TopicPublisher, _ traits: BatchTraits, time: Int64, isTogether: Bool = false
    ) -> OutgoingBatch {
        let batch = makeBatch(topic, traits, time: time, isTogether: isTogether)
        topic.open = batch
        gathering.append(topic)
        requestSeal(topic)
        return batch
    }

    private func makeBatch(
        _ topic: TopicPublisher, _ traits: BatchTraits, time: Int64, isTogether: Bool = false
    ) -> OutgoingBatch {
        let first = ids.reserve(UInt64(Limits.batchEventCountMax), milliseconds: UInt64(max(0, time / 1000)))
        return OutgoingBatch(
            topic: topic, traits: traits, reserved: first, body: spareBodies.popLast() ?? [], isTogether: isTogether)
    }

    /// A closed batch gets no more events: the next one's ids follow its own, if no other batch has taken any meanwhile.
    func giveBackIDs(of batch: OutgoingBatch) {
        ids.giveBack(batch.reserved, count: UInt64(Limits.batchEventCountMax), used: UInt64(batch.eventCount))
    }

    /// An id given to nobody else.
    func makeID() -> BusUUID { ids.make(milliseconds: UInt64(max(0, core.wallClock / 1000))) }

    /// Ends a topic's open batch: it leaves at the end of the round, if it may. Not at once: it could fail before its
    /// publisher has noted that it waits.
    func close(_ topic: TopicPublisher) {
        guard let batch = topic.open else { return }
        topic.open = nil
        gathering.removeAll { $0 === topic }
        giveBackIDs(of: batch)
        outgoing.append(batch)
        closedLength += batch.sealedLength
    }

    /// A last will goes the way of all batches, since its counter is one of its seal's.
    func gatherWill(_ event: OutgoingEvent, on name: Topic) {
        let topic = topic(name)
        let batch = makeBatch(topic, event.retains ? [.isWill, .retains] : .isWill, time: core.wallClock)
        heldLength += EventRecord.length(ofPayload: event.payload.count, headers: event.headers)
        event.payload.withUnsafeBytes {
            batch.append(
                payload: $0, headers: event.headers, marks: marks(event, on: topic), time: core.wallClock)
        }
        outgoing.append(batch)
        requestSeal(topic)
        core.requestFlush()
    }

    /// The state of a topic, asked for its seal at first use.
    func topic(_ name: Topic) -> TopicPublisher {
        if let known = topics[name] { return known }
        let topic = TopicPublisher(name)
        topics[name] = topic
        return topic
    }

    /// The state of a requester's reply topic, its seal asked for; the ones used least recently make room.
    func replyTopic(_ name: Topic) -> TopicPublisher {
        for old in replyTopics.use(name, mayLeave: { self.mayForget($0) }) {
            guard let topic = topics.removeValue(forKey: old), let number = topic.sealNumber else { continue }
            core.write(.closeSeal(seal: number))
            openSeals[number] = nil
        }
        let topic = topic(name)
        requestSeal(topic)
        return topic
    }

    /// Whether nothing more is to be sealed for a topic as things stand.
    private func mayForget(_ name: Topic) -> Bool {
        guard let topic = topics[name] else { return true }
        return topic.open == nil && !topic.seal.isOpening && !outgoing.contains { $0.topic === topic }
    }

    func makeWaiterNumber() -> UInt64 {
        defer { nextWaiter += 1 }
        return nextWaiter
    }

    /// Takes back a waiter; nil if it was answered already.
    func removeWaiter(_ number: UInt64) -> OutgoingBatch.Waiter? {
        for batch in [gathering.compactMap(\.open), Array(outgoing), Array(inFlight)].joined() {
            let batch = batch.part?.whole.batch ?? batch
            if let index = batch.waiters.firstIndex(where: { $0.number == number }) {
                return batch.waiters.remove(at: index)
            }
        }
        return nil
    }

    /// A batch is done with: its bytes no longer count, its buffer serves another.
    func release(_ batch: OutgoingBatch) {
        heldLength -= batch.body.count
        let body = batch.takeBody()
        if spareBodies.count < Publishing.spareBodiesMax, body.capacity <= 2 * Limits.batchLengthMax {
            spareBodies.append(body)
        }
    }

    // MARK: Waiting

    func waitForRoom() async {
        guard !hasRoom else { return }
        await roomWaiters.wait { isOver(hasRoom) }
    }

    func waitUntilIdle() async {
        guard !isIdle else { return }
        await drainWaiters.wait { isOver(isIdle) }
    }

    /// Whether there is nothing to wait for; otherwise the daemon is asked how far it is.
    private func isOver(_ isDone: Bool) -> Bool {
        guard !isDone, core.failure == nil else { return true }
        askForProgress()
        return false
    }

    // MARK: Connections come and go

    /// The connection is gone: its seals are over, what has no receipt stands first in line again.
    func connectionLost(_ why: String) {
        for topic in topics.values {
            topic.seal = .none
            topic.sealNumber = nil
            topic.payloadLengthMax = .max
        }
        sealRequests = [:]
        openSeals = [:]
        refusals = [:]
        for name in replyTopics.removeAll() { if let topic = topics.removeValue(forKey: name) { close(topic) } }
        var lost: [OutgoingBatch] = []
        var kept: Deque<OutgoingBatch> = []
        for batch in inFlight {
            batch.wasSent = true
            if batch.traits.contains(.isRequest) || batch.topic.topic.isReply {
                lost.append(batch)
            } else {
                kept.append(batch)
            }
        }
        for batch in outgoing {
            // The will is left again by whoever keeps it.
            if batch.traits.contains(.isWill) {
                release(batch)
            } else if batch.topic.topic.isReply {
                lost.append(batch)
            } else {
                kept.append(batch)
            }
        }
        inFlight = []
        outgoing = kept
        inFlightLength = 0
        lastNumber = 0
        lastAsked = 0
        for batch in lost { finish(batch, .failure(.disconnected(why))) }
        noteReleased()
    }

    /// The connection is back. Returns how many events are sent again.
    func connectionRestored() -> Int {
        let events = outgoing.reduce(0) { $0 + $1.eventCount }
        for batch in outgoing { requestSeal(batch.topic) }
        for topic in gathering { requestSeal(topic) }
        core.requestFlush()
        return events
    }

    /// Nothing will be sent any more.
    func fail(_ error: BusError) {
        for topic in gathering { if let batch = topic.open { outgoing.append(batch) } }
        for topic in gathering { topic.open = nil }
        gathering = []
        let all = Array(inFlight) + Array(outgoing)
        inFlight = []
        outgoing = []
        for batch in all { finish(batch, .failure(error)) }
        closedLength = 0
        roomWaiters.resumeAll()
        drainWaiters.resumeAll()
    }
}

extension Publish {
    /// What a publish frame adds to its batch at most: one for later has its time, too.
    static let frameOverhead = 24
}
