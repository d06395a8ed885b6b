// The tables, and how one version becomes the next. Version 1 is the first; a step is never changed once it was
// released. Before each the database is copied to `store.before-vN`, so that an older program can be gone back to.

/// The way from one version to the next.
struct SchemaStep: Sendable, ExpressibleByArrayLiteral {
    let statements: [String]
    /// What SQL alone can't say, behind the statements.
    let fill: (@Sendable (Connection) throws(StoreError) -> Void)?

    init(_ statements: [String], fill: (@Sendable (Connection) throws(StoreError) -> Void)? = nil) {
        self.statements = statements
        self.fill = fill
    }

    init(arrayLiteral statements: String...) { self.init(statements) }

    func run(_ connection: Connection) throws(StoreError) {
        for statement in statements { try connection.execute(statement) }
        try fill?(connection)
    }
}

/// Versions of the schema that this program knows.
struct Schema: Sendable {
    /// In the header of every database of ours, so that another program's is never touched: "LBUS".
    static let applicationID: Int32 = 0x4c42_5553

    /// The first makes version 1 of nothing, each other one the next version of the one before.
    var steps: [SchemaStep]

    /// The version this program writes.
    var version: Int { steps.count }

    static let current = Schema(steps: [version1, usage, scheduled, countingIDs, answers, idsByTopic])

    /// The columns of a batch, in the order in which they are always named.
    static let batchColumns = """
        position, topic, previous, sequence, count, accepted, expiry, seal, publisher, first_id, flags, sum, body
        """

    /// Batches lie in three tables alike: those that are there, those removed that something still needs, and those
    /// that were damaged. The body is last, so that the other columns are read without it.
    private static func batchTable(_ name: String) -> String {
        """
        CREATE TABLE \(name) (
          position INTEGER PRIMARY KEY, topic INTEGER NOT NULL, previous INTEGER NOT NULL, sequence INTEGER NOT NULL,
          count INTEGER NOT NULL, accepted INTEGER NOT NULL, expiry INTEGER, seal INTEGER NOT NULL,
          publisher INTEGER NOT NULL, first_id BLOB NOT NULL, flags INTEGER NOT NULL, sum INTEGER NOT NULL,
          body BLOB NOT NULL)
        """
    }

    /// What each user holds, which before was only known by counting.
    private static let usage = SchemaStep(
        ["CREATE TABLE usage (id INTEGER PRIMARY KEY, record BLOB NOT NULL)"], fill: UsageRow.fill)

    /// Looking an id up goes back from it to the nearest batch whose ids count up; one with ids of its own is no answer, and
    /// there may be any number of them.
    private static let countingIDs: SchemaStep = [
        "DROP INDEX batches_by_id",
        "CREATE INDEX batches_by_id ON batches (publisher, first_id) WHERE flags < \(BatchRow.hasIDsFlag)",
    ]

    /// Lines of the ledger may name an answer, behind all that they had before.
    private static let answers: SchemaStep = []

    /// An id may be used on several topics, and is known on each: looking one up on one of them walks over the others in the
    /// index alone.
    private static let idsByTopic: SchemaStep = [
        "DROP INDEX batches_by_id",
        """
        CREATE INDEX batches_by_id ON batches (publisher, first_id, topic) WHERE flags < \(BatchRow.hasIDsFlag)
        """,
        "DROP INDEX receipts_by_id",
        "CREATE INDEX receipts_by_id ON receipts (publisher, first_id, topic)",
        "DROP INDEX explicit_ids_by_position",
        "ALTER TABLE explicit_ids RENAME TO explicit_ids_before",
        """
        CREATE TABLE explicit_ids (
          publisher INTEGER NOT NULL, id BLOB NOT NULL, position INTEGER NOT NULL, place INTEGER NOT NULL,
          topic INTEGER NOT NULL, sequence INTEGER NOT NULL, accepted INTEGER NOT NULL, sum INTEGER NOT NULL,
          PRIMARY KEY (publisher, id, topic)) WITHOUT ROWID
        """,
        "INSERT INTO explicit_ids SELECT * FROM explicit_ids_before",
        "DROP TABLE explicit_ids_before",
        "CREATE INDEX explicit_ids_by_position ON explicit_ids (position)",
    ]

    private static let version1: SchemaStep = [
        "CREATE TABLE meta (id INTEGER PRIMARY KEY, record BLOB NOT NULL)",
        "CREATE TABLE topics (id INTEGER PRIMARY KEY, record BLOB NOT NULL)",
        // A batch's publisher in one small number; the batch's checksum covers what the number stands for.
        "CREATE TABLE publishers (id INTEGER PRIMARY KEY, uid INTEGER NOT NULL, unit BLOB NOT NULL, UNIQUE (uid, unit))",
        batchTable("batches"),
        // An index carries the rowid, so this one is (topic, position).
        "CREATE INDEX batches_by_topic ON batches (topic)",
        // Duplicates and traces. Ids count up with time, so new entries are neighbours.
        "CREATE INDEX batches_by_id ON batches (publisher, first_id)",
        // Removed from its topic, but retained or a dead letter.
        batchTable("kept"),
        "CREATE INDEX kept_by_seal ON kept (seal)",
        batchTable("quarantine_batches"),
        """
        CREATE TABLE quarantine (
          tbl TEXT NOT NULL, key INTEGER NOT NULL, found INTEGER NOT NULL, record BLOB, PRIMARY KEY (tbl, key))
        """,
        // Ids of batches that are removed while their duplicates may still come.
        """
        CREATE TABLE receipts (
          publisher INTEGER NOT NULL, first_id BLOB NOT NULL, position INTEGER PRIMARY KEY, count INTEGER NOT NULL,
          topic INTEGER NOT NULL, sequence INTEGER NOT NULL, accepted INTEGER NOT NULL, sum INTEGER NOT NULL)
        """,
        "CREATE INDEX receipts_by_id ON receipts (publisher, first_id)",
        // Ids that don't count up from their batch's first; rare.
        """
        CREATE TABLE explicit_ids (
          publisher INTEGER NOT NULL, id BLOB NOT NULL, position INTEGER NOT NULL, place INTEGER NOT NULL,
          topic INTEGER NOT NULL, sequence INTEGER NOT NULL, accepted INTEGER NOT NULL, sum INTEGER NOT NULL,
          PRIMARY KEY (publisher, id)) WITHOUT ROWID
        """,
        "CREATE INDEX explicit_ids_by_position ON explicit_ids (position)",
        "CREATE TABLE seals (number INTEGER PRIMARY KEY, topic INTEGER NOT NULL, record BLOB NOT NULL)",
        "CREATE INDEX seals_by_topic ON seals (topic)",
        "CREATE TABLE declarations (filter BLOB PRIMARY KEY, record BLOB NOT NULL) WITHOUT ROWID",
        "CREATE TABLE subscriptions (id INTEGER PRIMARY KEY, record BLOB NOT NULL)",
        "CREATE TABLE cursors (id INTEGER PRIMARY KEY, record BLOB NOT NULL)",
        """
        CREATE TABLE dead_letters (
          id INTEGER PRIMARY KEY, subscription INTEGER NOT NULL, position INTEGER NOT NULL, record BLOB NOT NULL)
        """,
        "CREATE INDEX dead_letters_by_subscription ON dead_letters (subscription)",
        "CREATE INDEX dead_letters_by_position ON dead_letters (position)",
        "CREATE TABLE ledger (number INTEGER PRIMARY KEY, first INTEGER NOT NULL, record BLOB NOT NULL)",
        "CREATE INDEX ledger_by_first ON ledger (first)",
        """
        CREATE TABLE secrets (
          namespace BLOB NOT NULL, epoch INTEGER NOT NULL, record BLOB NOT NULL, PRIMARY KEY (namespace, epoch))
          WITHOUT ROWID
        """,
    ]

    /// What is to be published later.
    private static let scheduled: SchemaStep = [
        """
        CREATE TABLE scheduled (
          id INTEGER PRIMARY KEY, topic INTEGER NOT NULL, due INTEGER NOT NULL, seal INTEGER NOT NULL,
          publisher INTEGER NOT NULL, event BLOB NOT NULL, record BLOB NOT NULL)
        """,
        "CREATE INDEX scheduled_by_due ON scheduled (due)",
        "CREATE INDEX scheduled_by_topic ON scheduled (topic)",
        "CREATE INDEX scheduled_by_seal ON scheduled (seal)",
        "CREATE INDEX scheduled_by_event ON scheduled (event)",
    ]
}
