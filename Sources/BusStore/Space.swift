// How much the database may use, and what is left when the disk is full.
//
// Two bounds. Ours: appends are refused when the database would use more than `bytesMax`; SQLite's own limit lies a
// headroom above, since even DELETE needs pages for the log and for splitting. The file system's: when it is full in
// the middle of something, a ballast file is given up, so that what makes room again has room to do so. Until the
// ballast can be taken back (or removed pages are enough to write into) appends are refused.

import CLinux
import GRDBSQLite
import Glibc

/// The space of an open store.
struct Space {
    static let pageSize = 4096

    private let pageCount: SQLStatement
    private let freePages: SQLStatement
    private let options: StoreOptions
    private var freeBytes: UInt64 = 0
    /// What the transaction under way adds, as far as can be foreseen.
    private var growth: UInt64 = 0
    /// Bytes of the database in use, as of the last commit.
    private(set) var bytesUsed: UInt64 = 0
    /// Whether the file system was full and isn't known to have room again.
    private(set) var isDiskFull = false

    init(connection: Connection, statements: StatementCache, options: StoreOptions) throws(StoreError) {
        self.options = options
        let pages = (options.bytesMax + options.headroom) / UInt64(Space.pageSize)
        _ = try connection.integer("PRAGMA max_page_count = \(min(pages, 4_294_967_294))")
        pageCount = try statements("PRAGMA page_count")
        freePages = try statements("PRAGMA freelist_count")
        try measure()
        isDiskFull = !takeBallast()
    }

    /// Counts pages; at the end of each transaction.
    mutating func measure() throws(StoreError) {
        growth = 0
        _ = try pageCount.step()
        let pages = pageCount.uint64(0)
        pageCount.reset()
        _ = try freePages.step()
        let free = freePages.uint64(0)
        freePages.reset()
        freeBytes = free * UInt64(Space.pageSize)
        bytesUsed = (pages - min(free, pages)) * UInt64(Space.pageSize)
    }

    /// Whether a batch of this size still fits, and counts it.
    mutating func admits(_ bytes: Int) -> Bool {
        // Columns, index entries, and the rest of a page that a long body begins.
        let needed = UInt64(bytes) + (bytes > 1024 ? 2048 : 256)
        guard bytesUsed + growth + needed <= options.bytesMax else { return false }
        growth += needed
        return true
    }

    /// Whether a line of the ledger still leaves half of the headroom, and counts it.
    mutating func admitsLedger() -> Bool {
        guard bytesUsed + growth + Space.ledgerLine <= options.bytesMax + options.headroom / 2 else { return false }
        growth += Space.ledgerLine
        return true
    }

    /// A line with its index entry, and pages that aren't full.
    private static let ledgerLine: UInt64 = 160

    /// Why appends are refused after SQLite found no space.
    var refusalWhenFull: StoreRefusal { isDiskFull ? .diskFull : .storeFull }

    /// Makes room where it is the file system that is full.
    mutating func makeRoom() throws(StoreError) {
        growth = 0
        // At our own bound the disk may have plenty; the ballast stays.
        var status = statvfs()
        guard statvfs(options.directory, &status) == 0 else { return }
        guard UInt64(status.f_bavail) * UInt64(status.f_frsize) < UInt64(options.ballastBytes) else { return }
        giveUpBallast()
    }

    /// Gives the ballast's space to the database and its log.
    mutating func giveUpBallast() {
        growth = 0
        isDiskFull = true
        unlink(options.ballastPath)
    }

    /// Asks whether a full file system has room again.
    mutating func recover() throws(StoreError) {
        growth = 0
        guard isDiskFull else { return }
        // Removed pages are written into without the file growing; that is enough, and all there may ever be where
        // the store fills its file system alone.
        if takeBallast() || freeBytes >= UInt64(options.ballastBytes) { isDiskFull = false }
    }

    /// Takes the ballast's space; false if there isn't enough.
    private func takeBallast() -> Bool {
        let flags = O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW
        let file = open(options.ballastPath, flags, 0o600)
        guard file >= 0 else { return false }
        defer { close(file) }
        if posix_fallocate(file, 0, off_t(options.ballastBytes)) == 0 { return true }
        unlink(options.ballastPath)
        return false
    }
}
