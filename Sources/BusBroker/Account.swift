// What one user holds in the daemon. Everything held is charged to somebody and every charge is given back; a test
// closes everything and finds all accounts empty.

/// Everything the daemon holds for one uid.
final class Account {
    let uid: UInt32
    var connectionCount = 0
    var subscriptionCount = 0
    var topicCount = 0
    /// Bytes of batches queued for its subscriptions. A batch queued for several counts for each: who asks for it
    /// twice pays twice, and nobody's charge depends on what others do.
    var queuedLength = 0
    /// Bytes of its publishes that wait for a stalled subscription.
    var parkedLength = 0

    init(uid: UInt32) { self.uid = uid }

    /// Whether nothing is held any more. Topics outlive their creators and don't count.
    var isIdle: Bool {
        connectionCount == 0 && subscriptionCount == 0 && queuedLength == 0 && parkedLength == 0
    }
}

/// A quota that is used up, in words.
struct QuotaFault {
    let quota: String
    let used: Int
    let limit: Int
    let uid: UInt32

    var message: String { "quota \(quota) of uid \(uid) is used up: \(used) of \(limit)" }
}
