// Reading what is ready: in the order of the wait where one principal has all connections, shared by time where there
// are several.

extension Reactor {
    func dispatch(ready: Int) {
        guard principals.count > 1 else {
            for index in 0..<ready { dispatch(poller.event(at: index)) }
            return
        }
        turns.begin(count: ready)
        for offset in 0..<ready {
            let event = poller.event(at: (offset + turns.rotation) % ready)
            guard case .connection(let connection) = event.source, let principal = connection.principal else {
                dispatch(event)
                continue
            }
            guard turns.admits(principal) else { continue }
            let start = MonotonicInstant.now()
            connection.ready(event.events)
            turns.note(MonotonicInstant.now().nanoseconds - start.nanoseconds, by: principal)
        }
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
