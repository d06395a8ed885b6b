// One publisher's key for one topic and epoch, as far as the broker knows it: everything but the key.

import BusWire

/// Lives as long as a batch of it is queued or kept anywhere.
final class Seal {
    let number: UInt64
    let topic: TopicState
    let epoch: UInt32
    let publisher: PeerIdentity
    let publisherName: String
    let account: Account
    private(set) var salt: [UInt8]
    /// Known once the key was derived, which is before its publisher can use it.
    private(set) var keyCheck: [UInt8] = []
    /// The counter its next batch must have.
    var nextCounter: UInt64 = 0
    /// The topic's number in the store when the store was told of it; 0 if it wasn't.
    var storedAs: UInt64 = 0
    /// Where its ids were noted last among its user's recent ones; 0 for nowhere.
    var recentIDs: UInt64 = 0
    /// The bounds its publisher was told.
    var toldLimits: BatchLimits

    init(
        number: UInt64, topic: TopicState, salt: [UInt8], publisher: PeerIdentity, name: String, account: Account,
        limits: BatchLimits
    ) {
        self.number = number
        self.topic = topic
        epoch = topic.epoch
        self.salt = salt
        self.publisher = publisher
        publisherName = name
        self.account = account
        toldLimits = limits
    }

    /// Whether batches can come under it.
    var isDerived: Bool { !keyCheck.isEmpty }

    /// Its key was derived.
    func derived(keyCheck: [UInt8], salt: [UInt8]? = nil) {
        self.keyCheck = keyCheck
        if let salt { self.salt = salt }
    }
}
