import BusWire
import Glibc
import Testing

@testable import BusStore

/// A store in a directory of its own, and everything it told.
final class StoreWorld: @unchecked Sendable {
    let directory: String
    var options: StoreOptions
    private var store: Store?
    private let told = Told()
    var schema = Schema.current

    init() throws {
        var template = Array("/tmp/bus-store.XXXXXX".utf8CString)
        directory = String(cString: try #require(mkdtemp(&template)))
        options = StoreOptions(directory: directory)
        options.ballastBytes = 1 << 20
    }

    deinit {
        try? store?.close()
        removeTree(directory)
    }

    /// The store, opened on first use.
    var opened: Store {
        get throws {
            if let store { return store }
            return try open()
        }
    }

    @discardableResult
    func open() throws -> Store {
        let told = told
        told.forget()
        let opened = try Store(
            options, schema: schema,
            callbacks: StoreCallbacks(
                onCommit: { told.committed($0) }, onDamage: { told.damaged($0) }, onFailure: { told.failed($0) }))
        store = opened
        return opened
    }

    func close() throws {
        try store?.close()
        store = nil
    }

    /// Lets go of it unclosed.
    func forget() { store = nil }

    func reopen() throws -> Store {
        try close()
        return try open()
    }

    /// What was told since the store was opened.
    var commits: [Committed] { told.wait { $0.commits } }
    var damage: [StoreDamage] { told.wait { $0.damage } }
    var failure: StoreError? { told.wait { $0.failure } }

    /// Submits and waits until it is told, or the store fails.
    @discardableResult
    func write(_ writes: [StoreWrite]) throws -> Committed {
        let ticket = try #require(try opened.submit(writes))
        return try told.commit(of: ticket)
    }

    /// Waits until nothing is being removed any more.
    func settled() throws -> StoredTopic? {
        told.wait(until: { told in told.commits.flatMap(\.removedFrom).last.map { !$0.isRemoving } ?? false })
        return commits.flatMap(\.removedFrom).last
    }

    func waitForDamage(_ count: Int) -> [StoreDamage] {
        told.wait(until: { $0.damage.count >= count })
        return damage
    }

    /// All seals there are on disk.
    var seals: [StoredSeal] {
        get throws {
            var seals: [StoredSeal] = []
            let connection = try Connection(reading: options.databasePath)
            let core = ReaderCore(connection)
            try connection.use { () throws(StoreError) in
                try core.records(SealRow.self, key: "number") { seals.append($0.seal) }
                core.statements.removeAll()
            }
            try connection.close()
            return seals
        }
    }

    func file(_ name: String) -> [UInt8] {
        let descriptor = Glibc.open(directory + "/" + name, O_RDONLY)
        defer { Glibc.close(descriptor) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = read(descriptor, &buffer, buffer.count)
            guard count > 0 else { return bytes }
            bytes += buffer[..<count]
        }
    }

    func setFile(_ name: String, _ bytes: [UInt8]) {
        let descriptor = Glibc.open(directory + "/" + name, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        defer { Glibc.close(descriptor) }
        bytes.withUnsafeBytes { _ = Glibc.write(descriptor, $0.baseAddress, $0.count) }
    }

    func exists(_ name: String) -> Bool { access(directory + "/" + name, F_OK) == 0 }

    /// Another world with this one's files as they are now: what a crash at this moment leaves.
    func crashed() throws -> StoreWorld {
        let world = try StoreWorld()
        world.options = options
        world.options.directory = world.directory
        for name in ["store.db", "store.db-wal", "store.head"] where exists(name) {
            world.setFile(name, file(name))
        }
        return world
    }
}

/// Everything a store told, behind a lock that can be waited at.
final class Told: @unchecked Sendable {
    struct State {
        var commits: [Committed] = []
        var damage: [StoreDamage] = []
        var failure: StoreError?
    }

    private var state = State()
    private let lock = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let changed = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

    init() {
        pthread_mutex_init(lock, nil)
        pthread_cond_init(changed, nil)
    }

    private func change(_ body: (inout State) -> Void) {
        pthread_mutex_lock(lock)
        body(&state)
        pthread_cond_broadcast(changed)
        pthread_mutex_unlock(lock)
    }

    func forget() { change { $0 = State() } }
    func committed(_ committed: Committed) { change { $0.commits.append(committed) } }
    func damaged(_ damage: StoreDamage) { change { $0.damage.append(damage) } }
    func failed(_ failure: StoreError) { change { $0.failure = failure } }

    @discardableResult
    func wait<R>(until holds: (State) -> Bool = { _ in true }, _ body: (State) -> R) -> R {
        pthread_mutex_lock(lock)
        defer { pthread_mutex_unlock(lock) }
        while !holds(state), state.failure == nil { pthread_cond_wait(changed, lock) }
        return body(state)
    }

    func wait(until holds: (State) -> Bool) { wait(until: holds) { _ in } }

    func commit(of ticket: UInt64) throws -> Committed {
        let found = wait(until: { ($0.commits.last?.through ?? 0) >= ticket }) { state in
            (state.commits.first { $0.through >= ticket }, state.failure)
        }
        if let failure = found.1, found.0 == nil { throw failure }
        return try #require(found.0)
    }
}

func removeTree(_ path: String) {
    guard let directory = opendir(path) else {
        unlink(path)
        return
    }
    while let entry = readdir(directory) {
        let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
            String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
        }
        if name != ".", name != ".." { removeTree(path + "/" + name) }
    }
    closedir(directory)
    rmdir(path)
}

/// Waits for what a read gives.
func waitFor<R: Sendable>(
    _ start: (@escaping @Sendable (Result<R, StoreError>) -> Void) -> Void
) async throws -> R {
    try await withCheckedContinuation { continuation in start { continuation.resume(returning: $0) } }.get()
}

extension StoreWorld {
    static let topic = TopicID(rawValue: 7)
    static let other = TopicID(rawValue: 8)

    /// A batch whose body tells where it is.
    static func batch(
        _ position: UInt64, topic: TopicID = topic, sequence: UInt64? = nil, count: UInt32 = 1, accepted: Int64? = nil,
        seal: UInt64 = 1, publisher: StoredPublisher = StoredPublisher(uid: 1000, unit: Array("a.service".utf8)),
        length: Int = 128
    ) -> StoredBatch {
        var body = [UInt8](repeating: UInt8(truncatingIfNeeded: position), count: length)
        withUnsafeBytes(of: position) { body.replaceSubrange(0..<8, with: $0) }
        return StoredBatch(
            position: position, topic: topic, firstSequence: sequence ?? position, count: count,
            accepted: accepted ?? Int64(position) * 1000, seal: seal, publisher: publisher, firstID: id(position),
            flags: 5, body: SharedBytes(body))
    }

    static func id(_ number: UInt64) -> BusUUID {
        BusUUID(milliseconds: 1_700_000_000_000, counterHigh: 0, counterLow: number)
    }

    static func newTopic(_ id: TopicID = topic, _ name: String = "orders.new") -> StoreWrite {
        .topic(StoredTopic(id: id, name: Array(name.utf8), incarnation: 3))
    }

    /// All batches there are in a range, page by page.
    func batches(
        _ range: Range<UInt64>, of topics: [TopicID]? = nil, countMax: Int = 100
    ) async throws -> [StoredBatch] {
        var found: [StoredBatch] = []
        var next = range.lowerBound
        while next < range.upperBound {
            let from = next
            let store = try opened
            let page = try await waitFor {
                store.batches(
                    in: from..<range.upperBound, of: topics, countMax: countMax, bytesMax: 1 << 20, completion: $0)
            }
            found += page.batches
            #expect(page.next > next, "a page goes on")
            next = page.next
            if page.isComplete { break }
        }
        return found
    }
}
