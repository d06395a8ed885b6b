// What is told of dead letters, on `$dead.<subscription>`. A letter is told of when it is on disk, so that whoever hears
// of it can look at it; all that one commit brought leaves as one batch, and events of one batch that were given up
// together are one letter and one event there. Where nobody listens nothing is made.
//
// Told is what a listing of dead letters tells: their payloads stay with them, under the keys of their own topics.

public import BusWire

/// Events of one batch that a durable subscription gave up on together, as is told of them.
public struct DeadLetterWord: Sendable, Equatable {
    /// The subscription.
    public let subscription: GroupName
    /// Its number, which one of the same name later doesn't have.
    let number: UInt64
    /// The first event's id.
    public let id: BusUUID
    /// Their topic.
    public let topic: Topic
    /// The first event's sequence, and the last one's; between them may be events that weren't given up.
    public let sequences: ClosedRange<UInt64>
    /// How many there are.
    public let eventCount: UInt64
    /// How often they were handed out.
    public let attempts: UInt16
    /// Why they were given up.
    public let reason: Reason
    /// Why, in the subscriber's words; the beginning of what the letter keeps.
    public let message: String
    /// How many events the subscription has among its dead letters when this is told.
    public internal(set) var deadCount: UInt64 = 0

    /// How much of the subscriber's words is told, in bytes of UTF-8: many letters share a batch. Not tuned.
    static let messageLengthMax = 256

    init(_ letter: StoredDeadLetter, of portion: Portion, _ subscription: GroupName) {
        let batch = portion.batch
        self.subscription = subscription
        number = letter.subscription
        let first = portion.selection.bounds(of: Int(batch.eventCount)).lowerBound
        id = (try? SealedBatch(batch.bytes))?.id(of: first) ?? .zero
        topic = batch.seal.topic.name
        sequences = portion.sequences
        eventCount = portion.eventCount
        attempts = letter.attempts
        reason = letter.reason
        message = letter.message.beginning(DeadLetterWord.messageLengthMax)
    }
}

extension Topic {
    /// Where dead letters of a durable subscription are told of.
    static func deadLetters(of subscription: GroupName) -> Topic {
        // Cannot fail: a subscription's name is one token, and shorter than a topic may be.
        guard let topic = try? Topic(bytes: Array("$dead.".utf8) + subscription.bytes) else {
            preconditionFailure("a subscription's name is a token")
        }
        return topic
    }
}

extension Broker {
    /// Has a letter told of when it is on disk, if anybody would hear it.
    func tell(of letter: StoredDeadLetter, _ portion: Portion, _ durable: Durable, ticket: UInt64) {
        guard isHeard(.deadLetters(of: durable.name)) else { return }
        complete(ticket, .buried(DeadLetterWord(letter, of: portion, durable.name)))
    }

    /// Tells of the letters that are on disk since the last round.
    func tellOfDeadLetters() {
        guard !buried.isEmpty else { return }
        let words = buried
        buried = []
        // Who is told goodbye hears no more.
        guard draining?.isClosing != true else { return }
        var order: [GroupName] = []
        var told: [GroupName: [Advisory]] = [:]
        for var word in words {
            let name = word.subscription
            // It may have been deleted meanwhile, and made again.
            guard let durable = storage?.subscriptions[name]?.durable, durable.number == word.number else { continue }
            word.deadCount = durable.deadCount
            if told[name] == nil { order.append(name) }
            told[name, default: []].append(.deadLetter(word))
        }
        for name in order where isHeard(.deadLetters(of: name)) {
            say(told[name] ?? [], on: .deadLetters(of: name))
        }
    }

    private func isHeard(_ topic: Topic) -> Bool {
        let all = topics[topic]?.route(through: filters).subscriptions ?? filters.matches(topic)
        // Durable ones are of what is stored.
        return all.contains { !$0.isDurable }
    }
}

extension String {
    /// As much of it as has so many bytes, without half a character's encoding at the end.
    fileprivate func beginning(_ length: Int) -> String {
        guard utf8.count > length else { return self }
        var bytes = 0
        var end = unicodeScalars.startIndex
        while end < unicodeScalars.endIndex {
            bytes += UTF8.width(unicodeScalars[end])
            guard bytes <= length else { break }
            end = unicodeScalars.index(after: end)
        }
        return String(unicodeScalars[..<end])
    }
}
