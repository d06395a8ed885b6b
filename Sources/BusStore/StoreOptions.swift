// Where the store lies and how large it may become.

/// How a store is opened.
public struct StoreOptions: Sendable {
    /// The state directory; it must exist and be ours.
    public var directory: String
    /// Whether an empty directory becomes a store.
    public var createsIfMissing = true
    /// Appends are refused when the database would use more than this, in bytes.
    public var bytesMax: UInt64 = 4 << 30
    /// What it may use beyond that, so that acknowledgements, purges and deletes always work, in bytes.
    public var headroom: UInt64 = 16 << 20
    /// The write-ahead log is copied into the database when it has this many bytes.
    public var checkpointBytes: Int = 4 << 20
    /// Size of the preallocated file that is given up when the file system is full, in bytes. It has to hold what a
    /// checkpoint adds to the database and the log of the writes that then make room.
    public var ballastBytes: Int = 16 << 20
    /// Batches that are removed in one transaction, so that a purge of millions keeps nobody waiting.
    public var removalSlice: Int = 512

    /// The usual options for a store in `directory`.
    public init(directory: String) { self.directory = directory }

    var databasePath: String { directory + "/store.db" }
    var walPath: String { databasePath + "-wal" }
    var sharedMemoryPath: String { databasePath + "-shm" }
    var headPath: String { directory + "/store.head" }
    var ballastPath: String { directory + "/store.ballast" }
}
