// The writer's thread: everything that waits becomes one transaction, then whoever waits is told, then the log is
// looked after. While a transaction is under way the next one gathers, which is all the batching there is.

import BusWire

/// What lies in the writer's mailbox.
enum SubmittedWrite: Sendable {
    case write(StoreWrite)
    /// A reader found damage.
    case putAside(DamagedRow)
}

/// A row that isn't what was stored.
enum DamagedRow: Sendable {
    case batch(UInt64)
    case record(table: RecordTable, key: UInt64)
}

/// The thread that writes.
final class Writer: @unchecked Sendable {
    private let mailbox = Mailbox<SubmittedWrite>()
    /// Tickets given; only inside `mailbox.fill`.
    private var ticket: UInt64 = 0
    private var thread: StoreThread?

    /// Starts the thread. The core is the thread's from here on.
    func start(_ core: sending WriterCore, callbacks: StoreCallbacks) throws(StoreError) {
        // Handed over once, to the one thread that uses it.
        nonisolated(unsafe) let core = core
        thread = try StoreThread("bus-store") { [mailbox] in
            do throws(StoreError) {
                try Writer.run(core, mailbox, callbacks)
            } catch {
                mailbox.close()
                callbacks.onFailure(error)
                // Closing would checkpoint, and nothing may be written after a failed write: left as it is.
                _ = Unmanaged.passRetained(core)
            }
        }
    }

    /// Leaves `writes` for the thread.
    ///
    /// - Returns: the ticket of the last of them; nil when the store has stopped.
    func submit(_ writes: [StoreWrite]) -> UInt64? {
        mailbox.fill { elements in
            for write in writes { elements.append(.write(write)) }
            ticket += UInt64(writes.count)
            return ticket
        }
    }

    func putAside(_ rows: [DamagedRow]) {
        guard !rows.isEmpty else { return }
        _ = mailbox.fill { elements in
            for row in rows { elements.append(.putAside(row)) }
        }
    }

    /// Carries out what waits, and ends.
    func stop() {
        mailbox.close()
        thread?.join()
        thread = nil
    }

    /// Ends without what waits, and leaves the log for the next opening. Nothing where it has ended.
    func abandon() {
        guard thread != nil else { return }
        mailbox.abandon()
        stop()
    }

    private static func run(
        _ core: WriterCore, _ mailbox: Mailbox<SubmittedWrite>, _ callbacks: StoreCallbacks
    ) throws(StoreError) {
        var waiting: [SubmittedWrite] = []
        var ticket: UInt64 = 1
        while mailbox.take(into: &waiting, waiting: !core.hasWork) {
            if !waiting.isEmpty || core.hasRemovals {
                let began = ContinuousClock.now
                var committed = try core.connection.use { () throws(StoreError) in
                    try core.transact(waiting, from: ticket)
                }
                committed.duration = UInt64(clamping: (ContinuousClock.now - began).microseconds)
                ticket = committed.through + 1
                for damage in committed.damage { callbacks.onDamage(damage) }
                callbacks.onCommit(committed)
            }
            // Kept for the next round, but not what one burst needed.
            waiting.removeAll(keepingCapacity: waiting.capacity <= 8192)
            try core.connection.use { () throws(StoreError) in try core.checkpointIfDue() }
        }
        try core.connection.use { () throws(StoreError) in
            if mailbox.isAbandoned { core.statements.removeAll() } else { try core.end() }
        }
        try core.connection.close()
    }
}

/// Whom the store tells; on its own threads.
struct StoreCallbacks: Sendable {
    var onCommit: @Sendable (Committed) -> Void
    var onDamage: @Sendable (StoreDamage) -> Void
    var onFailure: @Sendable (StoreError) -> Void
}

extension Duration {
    fileprivate var microseconds: Int64 { components.seconds * 1_000_000 + components.attoseconds / 1_000_000_000_000 }
}
