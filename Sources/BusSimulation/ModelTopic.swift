// A topic's life: from its first seal until nobody has used it for long enough.

import BusBroker
import BusWire

/// An id and whose it is.
struct PublishedID: Hashable {
    let uid: UInt32
    let id: BusUUID
}

/// One life of a topic.
final class ModelTopic {
    let name: Topic
    /// Who brought it into being, and is charged for it; nil for the daemon.
    let uid: UInt32?
    var lastSequence: UInt64 = 0
    var lastTime: Int64 = .min
    /// The sequence of every event a user published, by its id: no run is as long as ids are remembered.
    var published: [PublishedID: UInt64] = [:]
    /// The event kept for whoever asks later.
    var lastValue: (batch: ModelBatch, place: Int)?
    /// Which life it is, once that was told.
    var incarnation: UInt64?
    /// Since when nobody has had a seal or a will on it, and nothing of it is kept.
    var idleSince: UInt64?

    init(_ name: Topic, uid: UInt32?) {
        self.name = name
        self.uid = uid
    }
}

extension Model {
    /// The topic's present life, which begins if there is none.
    func topic(_ name: Topic, uid: UInt32?) -> ModelTopic {
        if let topic = topics[name] { return topic }
        let topic = ModelTopic(name, uid: uid)
        topics[name] = topic
        return topic
    }

    /// Whose answers go to a topic.
    func requester(of topic: Topic) -> ModelSession? { sessions.values.first { $0.replyTopic == topic } }

    /// How many topics a user has brought into being.
    func topicCount(of uid: UInt32, withOverdue: Bool) -> Int {
        topics.values.count { $0.uid == uid && (withOverdue || !isOverdue($0.name)) }
    }

    private func isUsed(_ topic: ModelTopic) -> Bool {
        let isOpen = { (seal: ModelSeal) in seal.topic == topic.name }
        return topic.lastValue != nil || ownSeals.values.contains(where: isOpen)
            || ownSealTopics.values.contains(topic.name)
            || sessions.values.contains { session in
                session.seals.values.contains(where: isOpen)
                    || session.pending.compactMap(\.seal).contains(where: isOpen)
                    || session.will.map { isOpen($0.seal) } ?? false
            }
            || wills.contains { isOpen($0.seal) }
    }

    /// Who isn't used any more goes on being remembered for a while.
    func noteIdleTopics() {
        for topic in topics.values {
            if isUsed(topic) {
                topic.idleSince = nil
            } else if topic.idleSince == nil {
                topic.idleSince = now.monotonic
            }
        }
    }

    /// Whether a topic may be forgotten, although it need not be: it is looked at within twice the time.
    func isOverdue(_ name: Topic) -> Bool {
        guard let since = topics[name]?.idleSince else { return false }
        return now.monotonic >= since + configuration.topicIdleTime
    }

    /// Topics nobody has used for long enough are forgotten.
    func forgetIdleTopics() {
        for topic in topics.values {
            guard let since = topic.idleSince else { continue }
            let (deadline, overflow) = since.addingReportingOverflow(2 * configuration.topicIdleTime)
            guard !overflow, now.monotonic >= deadline else { continue }
            topics[topic.name] = nil
            for session in sessions.values where session.pages?.kind == .topics {
                session.pages?.names.remove("\(topic.name)")
                session.pages?.others.insert("\(topic.name)")
            }
            reborn.insert(topic.name)
            if !topic.name.isReserved { tally[.topicForgotten] += 1 }
        }
    }

    /// An announcement's incarnation is that of its seal's topic, and no other's.
    func check(incarnation: UInt64, of seal: ModelSeal) throws(Violation) {
        let life = seal.life ?? topic(seal.topic, uid: seal.uid)
        if let known = life.incarnation {
            return try expect(
                known == incarnation, "\(seal.topic) is announced as of life \(incarnation), not \(known)")
        }
        let isNew = incarnation != 0 && incarnations.insert(incarnation).inserted
        try expect(isNew, "\(seal.topic): life \(incarnation) again")
        life.incarnation = incarnation
    }
}
