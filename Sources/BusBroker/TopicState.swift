// What the broker knows of one topic: its position, its time, its route.

import BusWire

final class TopicState {
    let name: Topic
    /// A small stand-in for the name in sets.
    let number: UInt32
    /// Who pays for its existence.
    let account: Account
    /// The position of the last event accepted.
    var lastSequence: UInt64 = 0
    /// The time of the last batch accepted: never goes back, whatever the clock does.
    var lastTime: Int64 = .min
    /// The generation of keys. One, until keys rotate.
    let epoch: UInt32 = 1

    private var route: [Subscription] = []
    private var routeVersion: UInt64 = .max

    init(name: Topic, number: UInt32, account: Account) {
        self.name = name
        self.number = number
        self.account = account
    }

    /// Everyone who gets this topic, in the order in which they subscribed; matched anew only after a filter came
    /// or went anywhere.
    func route(through filters: FilterTrie) -> [Subscription] {
        if routeVersion != filters.version {
            route = filters.matches(name)
            routeVersion = filters.version
        }
        return route
    }

    /// Gives the next `count` positions and a time.
    func advance(by count: UInt32, wall: Int64) -> (first: UInt64, time: Int64) {
        let first = lastSequence + 1
        lastSequence += UInt64(count)
        lastTime = max(lastTime, wall)
        return (first, lastTime)
    }
}

/// One publisher's key for one topic and epoch. Lives as long as a batch of it is queued anywhere.
final class Seal {
    let number: UInt64
    let topic: TopicState
    let epoch: UInt32
    let publisher: PeerIdentity
    let publisherName: String
    let salt: [UInt8]
    /// Known once the key was derived, which is before its publisher can use it.
    var keyCheck: [UInt8] = []
    /// The counter its next batch must have.
    var nextCounter: UInt64 = 0

    init(number: UInt64, topic: TopicState, salt: [UInt8], session: Session) {
        self.number = number
        self.topic = topic
        epoch = topic.epoch
        self.salt = salt
        publisher = session.peer
        publisherName = session.name
    }
}
