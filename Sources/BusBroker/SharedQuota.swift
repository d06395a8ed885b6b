// One user's allowance that others use up on its behalf: what publishers queue for a subscriber is charged to the
// subscriber. So that one publisher can't use up what all others need, each other user may have a bounded share of
// what is left.
//
// The arithmetic, which is dbus-broker's: with n other users charging, counting the one that asks, each may hold at
// most (what is left + what it holds) / (n + 1). Of 1,024, a first one may take 512; beside it a second one 512/3 = 170,
// a third 342/4 = 85. However many come, something is left, and nobody is ever refused for what another took first.
// The user itself is bounded by the limit alone.

struct SharedQuota {
    let limit: Int
    /// Held in all.
    private(set) var used = 0
    /// Held on behalf of others, by their uid. Few: a linear search is the fastest.
    private var shares: [(uid: UInt32, used: Int)] = []
    private let owner: UInt32

    init(limit: Int, owner: UInt32) {
        self.limit = limit
        self.owner = owner
    }

    /// How much `uid` may hold now in all.
    func allowance(of uid: UInt32) -> Int {
        let left = max(0, limit - used)
        guard uid != owner else { return left + used }
        let held = shares.first { $0.uid == uid }?.used
        let others = shares.count + (held == nil ? 1 : 0)
        return (left + (held ?? 0)) / (others + 1)
    }

    /// Whether `uid` may hold this much more.
    func admits(_ amount: Int, from uid: UInt32) -> Bool {
        guard uid != owner else { return true }
        return (shares.first { $0.uid == uid }?.used ?? 0) + amount <= allowance(of: uid)
    }

    /// Charges, whether it is admitted or not: asking comes before.
    mutating func charge(_ amount: Int, from uid: UInt32) {
        used += amount
        guard uid != owner else { return }
        if let index = shares.firstIndex(where: { $0.uid == uid }) {
            shares[index].used += amount
        } else {
            shares.append((uid, amount))
        }
    }

    /// Gives a charge back.
    mutating func giveBack(_ amount: Int, from uid: UInt32) {
        used -= amount
        guard uid != owner, let index = shares.firstIndex(where: { $0.uid == uid }) else { return }
        shares[index].used -= amount
        if shares[index].used == 0 { shares.remove(at: index) }
    }
}
