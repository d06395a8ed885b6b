// Durable topics on SQLite: everything that has to survive a kill -9 and a power cut, and nothing that can be derived.
//
//   reactor's thread ── submit(writes) ──> mailbox ──> writer thread ── onCommit(Committed) ──> hop to the reactor
//                    ── batches(in:…) ───> jobs ─────> reader thread ── completion(Result) ───> hop to the reactor
//
// The writer owns the one connection that writes. It takes everything that waits as one transaction, commits (the
// fsync is in there), writes the head file, tells, and checkpoints when the log is long enough; while it is at it the
// next transaction gathers. So commits are as large as the disk is slow, without a timer.
//
// The reader owns a read-only connection; each read is a transaction of its own and bounded, because a long one keeps
// the log from being reused.
//
// What it guarantees: a write up to `Committed.through` that was not refused is on disk. Writes take effect in order.
// A position that was told to anyone is never given twice, even where SQLite lost commits (HeadFile.swift). What is
// read is what was written, or is reported as damage; rows that went missing are noticed, since each batch names the
// one before it on its topic. A failed write or fsync stops the store for good: `onFailure`, and no further word.
//
// What it leaves to others: every decision. Positions, sequences, what is a duplicate and for how long, what is trimmed
// and when, come from the broker.
//
// Where to look: what can be written is StoreWrite.swift, what is read StoreReads.swift, the tables Schema.swift, a
// transaction WriterCore.swift, the start Opening.swift, full disks Space.swift.

public import BusWire

/// A store, open. Calls are cheap and from any thread unless they say that they block.
public final class Store: Sendable {
    /// Which store this is: another one after a restore or a rollback.
    public let incarnation: BusUUID
    /// What was found when it was opened.
    public let report: OpeningReport
    private let options: StoreOptions
    private let writer: Writer
    private let reader: Reader
    private let callbacks: StoreCallbacks
    private let lock: DirectoryLock

    /// Opens the store in `options.directory`, or makes it. Blocks.
    ///
    /// - Parameters:
    ///   - onCommit: called on the writer's thread after each commit, in order.
    ///   - onDamage: called on any thread for damage that is found while the store is open.
    ///   - onFailure: called once, on the writer's thread, when the store stops for good. What was submitted and not
    ///     told of may or may not be on disk.
    public convenience init(
        _ options: StoreOptions, onCommit: @escaping @Sendable (Committed) -> Void,
        onDamage: @escaping @Sendable (StoreDamage) -> Void, onFailure: @escaping @Sendable (StoreError) -> Void
    ) throws(StoreError) {
        let callbacks = StoreCallbacks(onCommit: onCommit, onDamage: onDamage, onFailure: onFailure)
        try self.init(options, schema: .current, callbacks: callbacks)
    }

    init(_ options: StoreOptions, schema: Schema, callbacks: StoreCallbacks) throws(StoreError) {
        var opening = Opening(options, schema: schema)
        let opened = try opening.run()
        self.options = options
        self.callbacks = callbacks
        incarnation = opened.incarnation
        report = opened.report
        lock = opened.lock
        // Nobody else has the cores: they are the threads' from here on.
        nonisolated(unsafe) let (readerCore, writerCore) = (opened.reader, opened.writer)
        reader = Reader(readerCore)
        writer = Writer()
        try reader.start()
        try writer.start(writerCore, callbacks: callbacks)
    }

    /// Carries out what was submitted, tells of it, and closes. Blocks.
    public func close() throws(StoreError) {
        defer { lock.release() }
        let closed = Result { () throws(StoreError) in try reader.stop() }
        writer.stop()
        try closed.get()
    }

    /// Who forgets it without closing it leaves what a killed process would: what waits isn't written, nothing is
    /// checkpointed. Blocks for the transaction under way.
    deinit {
        // The writer first: closed while the reader is there, SQLite leaves the log as it is.
        writer.abandon()
        reader.abandon()
    }

    // MARK: Writing

    /// Leaves `writes` for the writer, in this order and behind everything submitted before.
    ///
    /// - Returns: the ticket of the last of them, tickets counting up by one a write from 1; `Committed.through` says
    ///   when it is durable. nil when the store has stopped.
    @discardableResult
    public func submit(_ writes: [StoreWrite]) -> UInt64? { writer.submit(writes) }

    /// Copies the store as it is now into `directory`, which is made if it isn't there. Blocks, while everything else
    /// goes on; the log grows meanwhile. The copy is a store of its own, with an incarnation of its own, since it lacks
    /// what comes after.
    public func backup(to directory: String) throws(StoreError) {
        try Backup(from: options, to: StoreOptions(directory: directory)).run()
    }

    // MARK: Reading what is read whole, once, at start. These block, and throw only what makes serving impossible:
    // damaged rows are left out, reported and put aside.

    /// All topics but deleted ones.
    public func topics() throws(StoreError) -> [StoredTopic] {
        try all { (core) throws(StoreError) in
            var topics: [StoredTopic] = []
            try core.records(TopicRow.self) { if !$0.topic.isDeleted { topics.append($0.topic) } }
            return topics
        }
    }

    /// The highest numbers that topics and subscriptions ever had, deleted and damaged ones included.
    public func lastNumbers() throws(StoreError) -> (topic: UInt64, subscription: UInt64) {
        try all { (core) throws(StoreError) in
            func highest(_ tables: [String]) throws(StoreError) -> UInt64 {
                let own = tables.map { "SELECT max(id) AS id FROM \($0)" }
                let aside = tables.map { "SELECT max(key) FROM quarantine WHERE tbl = '\($0)'" }
                let all = (own + aside).joined(separator: " UNION ALL ")
                return UInt64(clamping: try core.connection.integer("SELECT coalesce(max(id), 0) FROM (\(all))"))
            }
            return (try highest(["topics"]), try highest(["subscriptions", "cursors"]))
        }
    }

    /// All declarations.
    public func declarations() throws(StoreError) -> [StoredDeclaration] {
        try all { (core) throws(StoreError) in
            var declarations: [StoredDeclaration] = []
            try core.records(StoredDeclaration.self, key: "0") { declarations.append($0) }
            return declarations
        }
    }

    /// All subscriptions with their cursors. One whose cursor is damaged is given from the store's beginning: what
    /// it had settled comes again, nothing is left out.
    public func subscriptions() throws(StoreError) -> [StoredSubscription] {
        try all { (core) throws(StoreError) in
            var cursors: [UInt64: StoredCursor] = [:]
            try core.records(CursorRow.self) { cursors[$0.subscription] = $0.cursor }
            var subscriptions: [StoredSubscription] = []
            try core.records(SubscriptionRow.self) {
                subscriptions.append(
                    StoredSubscription(
                        id: $0.id, name: $0.name, options: $0.options, cursor: cursors[$0.id] ?? StoredCursor(next: 1)))
            }
            return subscriptions
        }
    }

    /// What is to be published later, in numbers.
    public func scheduled() throws(StoreError) -> ScheduledSummary {
        try all { (core) throws(StoreError) in try core.scheduledSummary() }
    }

    /// One seal; nil where it isn't there, or can't be read.
    public func seal(_ number: UInt64) throws(StoreError) -> StoredSeal? {
        try all { (core) throws(StoreError) in try core.seals(numbered: [number])[number] }
    }

    /// Positions that went with the end of a damaged log, ascending.
    public func lostPositions() throws(StoreError) -> [LostPositions] {
        try all { (core) throws(StoreError) in try core.lostPositions() }
    }

    /// What users hold, but for those who hold nothing.
    public func usage() throws(StoreError) -> [StoredUsage] {
        try all { (core) throws(StoreError) in
            var usage: [StoredUsage] = []
            try core.records(UsageRow.self) { usage.append(StoredUsage(uid: $0.uid, byteCount: $0.byteCount)) }
            return usage
        }
    }

    /// All wrapped secrets.
    public func secrets() throws(StoreError) -> [StoredSecret] {
        try all { (core) throws(StoreError) in
            var secrets: [StoredSecret] = []
            try core.records(StoredSecret.self, key: "epoch") { secrets.append($0) }
            return secrets
        }
    }

    // MARK: Reading while serving. Completions are called on the reader's thread.

    /// Batches in `range` of positions, ascending, of `topics` or, where nil, of all, with their seals.
    ///
    /// - Parameters:
    ///   - countMax: how many batches at most.
    ///   - bytesMax: the page ends with the batch that reaches this.
    public func batches(
        in range: Range<UInt64>, of topics: [TopicID]?, countMax: Int, bytesMax: Int,
        completion: @escaping @Sendable (Result<BatchPage, StoreError>) -> Void
    ) {
        read(completion) { (core) throws(StoreError) in
            var page = try core.page(range, topics: topics, limit: PageLimit(count: countMax, bytes: bytesMax))
            page.seals = try core.seals(of: page.batches)
            return page
        }
    }

    /// The batches that begin at these positions, as far as they are there; also those that only a dead letter or a
    /// retained value keeps.
    public func batches(
        at positions: [UInt64], completion: @escaping @Sendable (Result<[StoredBatch], StoreError>) -> Void
    ) {
        read(completion) { (core) throws(StoreError) in
            var batches: [StoredBatch] = []
            for position in positions {
                if let batch = try core.batch(at: position) { batches.append(batch) }
            }
            return batches
        }
    }

    /// How many bytes the batches have that begin at these positions, there or kept. Their rows aren't compared with their
    /// checksums: it is for sums.
    public func lengths(
        at positions: [UInt64], completion: @escaping @Sendable (Result<[UInt64: UInt64], StoreError>) -> Void
    ) {
        read(completion) { (core) throws(StoreError) in
            var lengths: [UInt64: UInt64] = [:]
            for position in positions { lengths[position] = try core.length(at: position) }
            return lengths
        }
    }

    /// Where the first batch of `topic` begins that was accepted at or after `time`; nil: there is none.
    public func position(
        in topic: TopicID, since time: Int64, completion: @escaping @Sendable (Result<UInt64?, StoreError>) -> Void
    ) {
        read(completion) { (core) throws(StoreError) in
            try core.first(of: topic) { $0.accepted >= time }?.position
        }
    }

    /// Position of the event with this sequence, or of the first one behind it; nil: there is none.
    public func position(
        in topic: TopicID, sequence: UInt64,
        completion: @escaping @Sendable (Result<UInt64?, StoreError>) -> Void
    ) {
        read(completion) { (core) throws(StoreError) in
            guard let mark = try core.first(of: topic, { $0.sequence &+ $0.count > sequence }) else { return nil }
            return mark.position &+ (sequence > mark.sequence ? sequence - mark.sequence : 0)
        }
    }

    /// Position of the last event of `topic`; nil: there is none.
    public func lastPosition(
        in topic: TopicID, completion: @escaping @Sendable (Result<UInt64?, StoreError>) -> Void
    ) {
        read(completion) { (core) throws(StoreError) in try core.last(of: topic).map { $0.position &+ $0.count &- 1 } }
    }

    /// Dead letters behind the number `after`, ascending, of one subscription or of all.
    public func deadLetters(
        of subscription: UInt64?, after: UInt64, countMax: Int,
        completion: @escaping @Sendable (Result<[StoredDeadLetter], StoreError>) -> Void
    ) {
        read(completion) { (core) throws(StoreError) in
            try core.deadLetters(of: subscription, after: after, countMax: countMax)
        }
    }

    /// Dead letters whose batch begins at `position` or at most a batch's length before it, ascending.
    public func deadLetters(
        near position: UInt64, countMax: Int,
        completion: @escaping @Sendable (Result<[StoredDeadLetter], StoreError>) -> Void
    ) {
        read(completion) { (core) throws(StoreError) in
            try core.deadLetters(near: position, countMax: countMax)
        }
    }

    /// The ledger's entries that reach into `range`, in the order in which they were written.
    public func ledger(
        in range: Range<UInt64>, countMax: Int,
        completion: @escaping @Sendable (Result<[LedgerEntry], StoreError>) -> Void
    ) {
        read(completion) { (core) throws(StoreError) in try core.ledger(in: range, countMax: countMax) }
    }

    /// Where the events with this id lie: one, unless several publishers used it.
    public func places(
        of id: BusUUID, completion: @escaping @Sendable (Result<[EventPlace], StoreError>) -> Void
    ) {
        read(completion) { (core) throws(StoreError) in try core.places(of: id) }
    }

    /// What is due by `time`, with its seals, the first to be due first.
    ///
    /// - Parameters:
    ///   - place: behind which the page begins; nil for the first of all.
    ///   - countMax: how many rows are looked at, at most.
    ///   - bytesMax: the page ends with the one that reaches this.
    public func scheduled(
        dueBy time: Int64, after place: DuePlace? = nil, countMax: Int, bytesMax: Int,
        completion: @escaping @Sendable (Result<ScheduledPage, StoreError>) -> Void
    ) {
        read(completion) { (core) throws(StoreError) in
            var page = try core.scheduled(dueBy: time, after: place, PageLimit(count: countMax, bytes: bytesMax))
            page.seals = try core.seals(numbered: page.events.map(\.seal))
            return page
        }
    }

    /// What is to be published later behind the number `after`, by number.
    public func scheduled(
        after: UInt64, countMax: Int, bytesMax: Int,
        completion: @escaping @Sendable (Result<[StoredScheduled], StoreError>) -> Void
    ) {
        read(completion) { (core) throws(StoreError) in
            try core.scheduled(after: after, PageLimit(count: countMax, bytes: bytesMax))
        }
    }

    /// What is to be published later under an event's id, behind the number `after`, by number: one, unless several
    /// publishers used it, or one several times.
    ///
    /// - Parameter uid: of this user alone; nil for all.
    public func scheduled(
        id: BusUUID, of uid: UInt32? = nil, after: UInt64 = 0, countMax: Int, bytesMax: Int,
        completion: @escaping @Sendable (Result<[StoredScheduled], StoreError>) -> Void
    ) {
        read(completion) { (core) throws(StoreError) in
            try core.scheduled(id: id, of: uid, after: after, PageLimit(count: countMax, bytes: bytesMax))
        }
    }

    /// Compares another slice of everything stored with its checksums; from 0 on, then from each report's `next`.
    public func scrub(
        from place: UInt64, completion: @escaping @Sendable (Result<ScrubReport, StoreError>) -> Void
    ) {
        read(completion) { (core) throws(StoreError) in try core.scrub(from: place) }
    }

    private func read<R: Sendable>(
        _ completion: @escaping @Sendable (Result<R, StoreError>) -> Void,
        _ body: @escaping @Sendable (ReaderCore) throws(StoreError) -> R
    ) {
        let (writer, callbacks) = (writer, callbacks)
        reader.schedule(completion) { (core) throws(StoreError) in
            defer { Store.report(core, writer, callbacks) }
            return try body(core)
        }
    }

    private func all<R>(_ body: (ReaderCore) throws(StoreError) -> R) throws(StoreError) -> R {
        let (writer, callbacks) = (writer, callbacks)
        return try reader.perform { (core) throws(StoreError) in
            defer { Store.report(core, writer, callbacks) }
            return try body(core)
        }.get()
    }

    /// Tells of damage met in a read, and has it put aside.
    private static func report(_ core: ReaderCore, _ writer: Writer, _ callbacks: StoreCallbacks) {
        let (damage, rows) = core.takeDamage()
        writer.putAside(rows)
        for found in damage { callbacks.onDamage(found) }
    }
}
