// How fast one user may do what costs the daemon most: shake hands, open seals, publish. It outlives the user's account,
// which goes with its last connection: who leaves and comes back finds its buckets as empty as before.

/// One user's buckets.
final class UserRates {
    /// So many seconds' worth of connections and seals may come at once: by default as many as a user and a session may
    /// have, so that whoever comes back with everything after a restart isn't refused.
    private static let burstSeconds = 32

    var publishing: RateLimit
    var connecting: RateLimit
    var sealing: RateLimit

    init(_ quotas: Quotas) {
        publishing = RateLimit(perSecond: quotas.publishRate)
        connecting = RateLimit(perSecond: quotas.connectRate, burstSeconds: UserRates.burstSeconds)
        sealing = RateLimit(perSecond: quotas.sealRate, burstSeconds: UserRates.burstSeconds)
    }

    /// Whether nothing would be forgotten with it.
    func isFull(at now: Moment.Nanoseconds) -> Bool {
        publishing.isFull(at: now) && connecting.isFull(at: now) && sealing.isFull(at: now)
    }
}

/// The rates of all users that did something lately.
struct RatesOfUsers {
    /// Below so many nobody looks which of them are full again. Not tuned.
    private static let sweptCountMin = 64

    private var rates: [UInt32: UserRates] = [:]
    /// How many there may be until full ones are forgotten: twice what was left last time, so that looking costs each
    /// newcomer no more than a constant.
    private var countMax = RatesOfUsers.sweptCountMin

    var count: Int { rates.count }

    /// A user's rates, made now if there are none.
    mutating func rates(of uid: UInt32, _ quotas: Quotas, at now: Moment.Nanoseconds) -> UserRates {
        if let known = rates[uid] { return known }
        if rates.count >= countMax {
            rates = rates.filter { !$0.value.isFull(at: now) }
            countMax = max(RatesOfUsers.sweptCountMin, 2 * rates.count)
        }
        let made = UserRates(quotas)
        rates[uid] = made
        return made
    }
}
