import CLinux
import Glibc
import Synchronization
import Testing

@testable import BusTransport

/// Lives on a reactor.
private actor Counter {
    let reactor: Reactor
    var value = 0
    nonisolated var unownedExecutor: UnownedSerialExecutor { reactor.asUnownedSerialExecutor() }

    init(on reactor: Reactor) { self.reactor = reactor }

    func increment() -> UInt {
        value += 1
        return pthread_self()
    }

    nonisolated func peek() -> Int { assumeIsolated { $0.value } }
}

/// The thread, asked from where no `await` stands between.
private func currentThread() -> UInt { pthread_self() }

@Suite struct ReactorExecutorTests {
    private func running(_ body: (Reactor) async throws -> Void) async throws {
        let reactor = try Reactor(name: "executor")
        reactor.start()
        defer {
            reactor.stop()
            reactor.waitUntilStopped()
        }
        try await body(reactor)
    }

    @Test func `an actor on the reactor runs on its thread`() async throws {
        try await running { reactor in
            let counter = Counter(on: reactor)
            let first = await counter.increment()
            let second = await counter.increment()
            #expect(first == second)
            #expect(first == reactor.thread.load(ordering: .relaxed))
        }
    }

    @Test func `a task on the reactor calls an actor on it without a change of thread or a wake-up`() async throws {
        try await running { reactor in
            let counter = Counter(on: reactor)
            let (threads, wakeups) = await Task(executorPreference: reactor) {
                let before = reactor.wakeupCount
                var threads: Set<UInt> = [currentThread()]
                for _ in 0..<1000 { threads.insert(await counter.increment()) }
                threads.insert(currentThread())
                return (threads, reactor.wakeupCount - before)
            }.value
            #expect(threads.count == 1)
            #expect(wakeups == 0)
        }
    }

    @Test func `assumeIsolated holds on the reactor, also outside of a task`() async throws {
        try await running { reactor in
            let counter = Counter(on: reactor)
            _ = await counter.increment()
            let seen = await withCheckedContinuation { continuation in
                Task(executorPreference: reactor) {
                    _ = reactor.schedule(at: .now()) { continuation.resume(returning: counter.peek()) }
                }
            }
            #expect(seen == 1)
        }
    }

    @Test func `jobs from many threads all run, one at a time`() async throws {
        try await running { reactor in
            let counter = Counter(on: reactor)
            await withTaskGroup(of: Void.self) { group in
                for _ in 0..<64 {
                    group.addTask { for _ in 0..<200 { _ = await counter.increment() } }
                }
            }
            #expect(await counter.value == 64 * 200)
        }
    }

    @Test func `jobs that wait for the reactor to start need no wake-up`() async throws {
        let reactor = try Reactor(name: "burst")
        let tasks = (0..<100).map { index in Task(executorPreference: reactor) { index } }
        reactor.start()
        var sum = 0
        for task in tasks { sum += await task.value }
        #expect(sum == 4950)
        #expect(reactor.wakeupCount <= 1)
        reactor.stop()
        reactor.waitUntilStopped()
    }

    @Test func `running on the caller's thread returns when stopped`() throws {
        let reactor = try Reactor(name: "main")
        var threads: [Bool] = []
        reactor.schedule(at: .now()) {
            threads.append(reactor.isOnReactor)
            reactor.stop()
        }
        #expect(!reactor.isOnReactor)
        reactor.run()
        #expect(threads == [true])
        #expect(!reactor.isOnReactor)
        reactor.waitUntilStopped()
    }

    @Test func `an await on an actor of a stopped reactor returns`() async throws {
        let reactor = try Reactor(name: "stopped")
        let counter = Counter(on: reactor)
        reactor.start()
        _ = await counter.increment()
        reactor.stop()
        reactor.waitUntilStopped()
        for _ in 0..<100 { _ = await counter.increment() }
        #expect(await counter.value == 101)
    }

    /// A call of an actor that keeps its stopped reactor, and is kept by nobody but the call.
    private func lastCall() throws -> Task<UInt, Never> {
        let reactor = try Reactor(name: "last call")
        reactor.stop()
        reactor.waitUntilStopped()
        let counter = Counter(on: reactor)
        return Task { await counter.increment() }
    }

    /// Often, since it takes a thread that is overtaken within a few instructions; then it crashed.
    @Test func `a reactor may be gone before the thread that brought its last job has returned`() async throws {
        for _ in 0..<1000 {
            let calls = try (0..<4).map { _ in try lastCall() }
            for call in calls { #expect(await call.value != 0) }
        }
    }

    @Test func `jobs of a reactor that never ran are run when it is stopped`() async throws {
        let reactor = try Reactor(name: "never")
        let counter = Counter(on: reactor)
        async let thread = counter.increment()
        reactor.stop()
        #expect(await thread != 0)
        reactor.waitUntilStopped()
    }

    @Test func `stopping ends what is open and tells its owner`() async throws {
        let reactor = try Reactor(name: "ending")
        let peer = Peer()
        let (_, far) = try connected(reactor, peer)
        reactor.start()
        reactor.stop()
        reactor.waitUntilStopped()
        #expect(peer.reasons == [.reactorStopped])
        #expect(far.receiveOnce() == 0)
    }

    @Test func `a stopped reactor lets go of everything`() throws {
        weak var seen: Reactor?
        weak var connection: Connection?
        do {
            let reactor = try Reactor(name: "gone")
            seen = reactor
            let peer = Peer()
            connection = try connected(reactor, peer).0
            connection?.write([1])
            reactor.schedule(at: .now() + .seconds(3600)) {}
            reactor.schedule(at: .now()) { reactor.stop() }
            reactor.run()
        }
        #expect(connection == nil)
        #expect(seen == nil)
    }

    @Test func `busy jobs do not starve input`() throws {
        try withReactor { reactor in
            let peer = Peer()
            let (_, far) = try connected(reactor, peer)
            let isOver = Atomic(false)
            let task = Task(executorPreference: reactor) {
                while !isOver.load(ordering: .relaxed) { await Task.yield() }
            }
            reactor.thread.store(pthread_self(), ordering: .relaxed)
            reactor.turn { reactor.counters.jobs > 0 }
            _ = far.send([1])
            reactor.turn { peer.bytes == [1] }
            #expect(reactor.counters.jobs >= Reactor.jobsPerRoundMax)
            isOver.store(true, ordering: .relaxed)
            reactor.turn { reactor.localJobs.isEmpty }
            _ = task
            reactor.thread.store(0, ordering: .relaxed)
        }
    }
}
