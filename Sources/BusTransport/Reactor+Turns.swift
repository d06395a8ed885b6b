// Reading what is ready: in the order of the wait where one principal has all connections, shared by time where there
// are several.

extension Reactor {
    func dispatch(ready: Int) {
        guard principals.count > 1 else {
            for index in 0..<ready { dispatch(poller.event(at: index)) }
            return
        }
        turns.begin(
            count: ready, among: (0..<ready).lazy.compactMap { self.principal(of: self.poller.event(at: $0).source) },
            at: now)
        let isContested = turns.isContested(at: now)
        for offset in 0..<ready {
            let event = poller.event(at: (offset + turns.rotation) % ready)
            guard case .connection(let connection) = event.source, let principal = connection.principal else {
                dispatch(event)
                continue
            }
            guard turns.admits(principal) else { continue }
            connection.adjustRoom(isContested: isContested)
            let start = MonotonicInstant.now()
            connection.ready(event.events)
            charge(MonotonicInstant.now().nanoseconds - start.nanoseconds, to: connection)
        }
    }

    private func principal(of source: EventSource) -> UInt32? {
        if case .connection(let connection) = source { connection.principal } else { nil }
    }

    /// Takes note of time spent on a connection's behalf.
    func charge(_ nanoseconds: Int64, to connection: Connection) {
        guard principals.count > 1, let principal = connection.principal else { return }
        turns.note(nanoseconds, by: principal)
        connection.readCost += nanoseconds
    }

    private func dispatch(_ event: (source: EventSource, events: UInt32)) {
        switch event.source {
        case .vacant: break
        case .connection(let connection): connection.ready(event.events)
        case .listener(let listener): listener.ready()
        case .watch(let watch): watch.ready()
        }
    }

    /// A connection's principal was said, or is gone with it.
    func notePrincipal(from old: UInt32?, to new: UInt32?) {
        if let old, let count = principals[old] { principals[old] = count > 1 ? count - 1 : nil }
        if let new { principals[new, default: 0] += 1 }
    }
}
