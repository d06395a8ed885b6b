// Who gets how many of a group's events: as if each were handed, one by one, to whoever has the least to do.
//
// One by one would be a batch sent to every member for each event. So the numbers are computed first (water poured on
// steps of different heights settles level), and the events, laid in a row, are cut into runs of these lengths: a batch
// is sent twice only where two runs meet in it.

/// What one member is ready for.
struct GroupMember {
    /// Events it holds and hasn't acknowledged.
    var outstanding: UInt64
    /// Events it would take now.
    var room: UInt64
}

/// Splits `count` events over members.
///
/// - Returns: for each member how many; together as many as there are, or as all have room for.
func groupShares(of count: UInt64, among members: [GroupMember]) -> [UInt64] {
    var shares = [UInt64](repeating: 0, count: members.count)
    var rest = min(count, members.reduce(0) { $0.addingReportingOverflow($1.room).overflow ? .max : $0 + $1.room })
    // Members that have room, the least busy first; equals in the order they came.
    var open = members.indices.filter { members[$0].room > 0 }
    open.sort { (members[$0].outstanding, $0) < (members[$1].outstanding, $1) }
    var level = open.first.map { members[$0].outstanding } ?? 0
    var next = 0
    var filling: [Int] = []
    while rest > 0 {
        while next < open.count, members[open[next]].outstanding <= level {
            filling.append(open[next])
            next += 1
        }
        // Up to the next member's height, or until somebody is full, or as far as it goes.
        let step = next < open.count ? members[open[next]].outstanding - level : UInt64.max
        let least = filling.map { members[$0].room - shares[$0] }.min() ?? UInt64.max
        let rise = min(step, least, rest / UInt64(max(filling.count, 1)))
        if rise == 0, !filling.isEmpty {
            // Less than one each: the first ones get it.
            for index in filling.prefix(Int(rest)) { shares[index] += 1 }
            return shares
        }
        for index in filling { shares[index] += rise }
        rest -= rise * UInt64(filling.count)
        level = filling.isEmpty ? level + step : level + rise
        filling.removeAll { shares[$0] == members[$0].room }
    }
    return shares
}
