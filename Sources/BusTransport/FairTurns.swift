// Whose turn it is in a round, where several users' connections have something to be read.
//
// Fairness among connections is unfair to users: who opens a thousand gets a thousand turns. So reading is shared among
// principals by the time it takes, which counts everything alike, a batch as well as a key agreement. Each may begin a
// read as long as it has spent less than a quantum in this round; what is left is reported again by the next wait, since
// epoll is level-triggered. What it spent beyond, in a read that took long or in work that came of it later, it owes:
// others go first until they have had as much. Alone nobody owes anything.

/// The time that principals have spent in this round, and owe from earlier ones.
struct FairTurns {
    /// What one may spend in a round before it has to let others: a few dozen small reads, or two key agreements; the
    /// read that passes it is finished. Not tuned.
    static let quantum: Int64 = 250_000
    /// So long after two principals had something to be read at the same time their reads are kept short, so that who
    /// comes next needn't wait for a long one. Not tuned.
    private static let contest: Int64 = 100_000_000

    private var spent: [(principal: UInt32, nanoseconds: Int64)] = []
    /// Where the next round begins, so that within one principal nobody is last for ever.
    private(set) var rotation = 0
    private var contestedUntil = MonotonicInstant(nanoseconds: 0)

    /// A new round over `count` sources of these principals. Whoever owes least among them may begin; the others are
    /// let off as much.
    mutating func begin(count: Int, among ready: some Sequence<UInt32>, at now: MonotonicInstant = .now()) {
        rotation = count > 0 ? (rotation + 1) % count : 0
        var first: UInt32?
        var least = Int64.max
        for principal in ready {
            if let first, first != principal { contestedUntil = now + .nanoseconds(FairTurns.contest) }
            first = first ?? principal
            least = min(least, time(of: principal))
        }
        let forgiven = least == .max ? FairTurns.quantum : max(FairTurns.quantum, least)
        for index in spent.indices { spent[index].nanoseconds -= forgiven }
        spent.removeAll { $0.nanoseconds <= 0 }
    }

    private func time(of principal: UInt32) -> Int64 { spent.first { $0.principal == principal }?.nanoseconds ?? 0 }

    /// Whether principals have lately kept each other waiting.
    func isContested(at now: MonotonicInstant) -> Bool { now < contestedUntil }

    /// Whether a principal may begin another read in this round.
    func admits(_ principal: UInt32) -> Bool { time(of: principal) < FairTurns.quantum }

    /// Takes note of what a read took, or what came of it.
    mutating func note(_ nanoseconds: Int64, by principal: UInt32) {
        if let index = spent.firstIndex(where: { $0.principal == principal }) {
            spent[index].nanoseconds += nanoseconds
        } else {
            spent.append((principal, nanoseconds))
        }
    }
}
