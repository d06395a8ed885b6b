import BusTesting
import BusTransport
import Testing

@testable import BusServer

/// Results that other threads leave for a reactor.
@Suite(.timeLimit(.minutes(1))) struct ReactorMailboxTests {
    @Test func `what threads leave is taken on the reactor, each thread's in its order, nothing twice`() async throws {
        let reactor = try Reactor(name: "test mailbox")
        let mailbox = try ReactorMailbox<(thread: Int, number: Int)>()
        let taken = Noted([[Int]](repeating: [], count: 4))
        // Before it is watched, too.
        mailbox.put((0, -1))
        let watch = try mailbox.watch(on: reactor) { results in
            taken.change { all in
                for result in results { all[result.thread].append(result.number) }
            }
        }
        reactor.start()
        await withTaskGroup(of: Void.self) { group in
            for thread in 0..<4 {
                group.addTask { for number in 0..<5000 { mailbox.put((thread, number)) } }
            }
        }
        await eventually { taken.value.reduce(0) { $0 + $1.count } == 20_001 }
        #expect(taken.value[0] == Array(-1..<5000))
        for thread in 1..<4 { #expect(taken.value[thread] == Array(0..<5000)) }
        await Task(executorPreference: reactor) { watch.cancel() }.value
        mailbox.put((0, 5000))
        reactor.stop()
        reactor.waitUntilStopped()
        #expect(taken.value[0].count == 5001)
        #expect(mailbox.take().map(\.number) == [5000])
        #expect(mailbox.take().isEmpty)
    }
}
