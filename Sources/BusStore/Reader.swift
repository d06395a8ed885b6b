// The reader's thread: one short transaction for each read, in the order they were asked for.

/// The thread that reads.
final class Reader: @unchecked Sendable {
    private let jobs = Mailbox<@Sendable () -> Void>()
    private let core: ReaderCore
    private var thread: StoreThread?

    init(_ core: sending ReaderCore) { self.core = core }

    /// Starts the thread.
    func start() throws(StoreError) {
        thread = try StoreThread("bus-store-read") { [jobs] in
            var waiting: [@Sendable () -> Void] = []
            while jobs.take(into: &waiting, waiting: true) {
                for job in waiting { job() }
                waiting.removeAll(keepingCapacity: waiting.capacity <= 1024)
            }
        }
    }

    /// Reads on the thread, later.
    func schedule<R: Sendable>(
        _ completion: @escaping @Sendable (Result<R, StoreError>) -> Void,
        _ read: @escaping @Sendable (ReaderCore) throws(StoreError) -> R
    ) {
        let accepted: Void? = jobs.fill { jobs in
            jobs.append { completion(self.perform(read)) }
        }
        if accepted == nil { completion(.failure(.stopped)) }
    }

    /// Reads now, on the calling thread, and blocks while another read is under way.
    func perform<R>(_ read: (ReaderCore) throws(StoreError) -> R) -> Result<R, StoreError> {
        core.connection.use {
            do throws(StoreError) {
                return .success(try core.transaction(read))
            } catch {
                return .failure(error)
            }
        }
    }

    /// Answers what was asked, and closes the connection.
    func stop() throws(StoreError) {
        jobs.close()
        thread?.join()
        thread = nil
        core.connection.use { core.statements.removeAll() }
        try core.connection.close()
    }

    /// Ends without what waits. Nothing where it has ended.
    func abandon() {
        guard thread != nil else { return }
        jobs.abandon()
        // What fails to close is left; there is nobody to tell.
        try? stop()
    }
}
