// Whose turn it is in a round, where several users' connections have something to be read.
//
// Fairness among connections is unfair to users: who opens a thousand gets a thousand turns. So a round's reading is
// shared among principals by the time it takes, which counts everything alike, a batch as well as a key agreement. Each
// may begin a read as long as it has spent less than a quantum in this round; what is left is reported again by the
// next wait, since epoll is level-triggered, and nothing is remembered or moved for it.

/// The time that principals have spent in one round.
struct FairTurns {
    /// What one may spend in a round before it has to let others: a few dozen small reads, or two key agreements; the
    /// read that passes it is finished. Not tuned.
    static let quantum: Int64 = 250_000

    private var spent: [(principal: UInt32, nanoseconds: Int64)] = []
    /// Where the next round begins, so that within one principal nobody is last for ever.
    private(set) var rotation = 0

    /// A new round over `count` sources.
    mutating func begin(count: Int) {
        spent.removeAll(keepingCapacity: true)
        rotation = count > 0 ? (rotation + 1) % count : 0
    }

    /// Whether a principal may begin another read in this round.
    func admits(_ principal: UInt32) -> Bool {
        (spent.first { $0.principal == principal }?.nanoseconds ?? 0) < FairTurns.quantum
    }

    /// Takes note of what a read took.
    mutating func note(_ nanoseconds: Int64, by principal: UInt32) {
        if let index = spent.firstIndex(where: { $0.principal == principal }) {
            spent[index].nanoseconds += nanoseconds
        } else {
            spent.append((principal, nanoseconds))
        }
    }
}
