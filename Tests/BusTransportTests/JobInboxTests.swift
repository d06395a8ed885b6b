import Testing

@testable import BusTransport

/// Gives out jobs without running them: they are taken for their number only.
private final class Collector: TaskExecutor, @unchecked Sendable {
    let inbox: JobInbox
    var duties: [JobInbox.Duty] = []
    init(_ inbox: JobInbox) { self.inbox = inbox }
    func enqueue(_ job: consuming ExecutorJob) { duties.append(inbox.put(UnownedJob(job))) }
}

@Suite struct JobInboxTests {
    @Test func `only the first writer of a burst wakes the sleeper`() async {
        let inbox = JobInbox()
        let collector = Collector(inbox)
        inbox.begin()
        #expect(inbox.fallAsleep())
        let tasks = (0..<5).map { _ in Task(executorPreference: collector) {} }
        #expect(collector.duties == [.wake, .nothing, .nothing, .nothing, .nothing])
        #expect(inbox.wakeupCount == 1)
        #expect(!inbox.fallAsleep())

        var jobs: [UnownedJob] = []
        inbox.take(into: &jobs)
        #expect(jobs.count == 5)
        for job in jobs { job.runSynchronously(on: collector.asUnownedTaskExecutor()) }
        for task in tasks { await task.value }
        #expect(inbox.fallAsleep())
    }

    @Test func `stopping wakes the sleeper once and is not forgotten`() {
        let inbox = JobInbox()
        inbox.begin()
        #expect(inbox.fallAsleep())
        #expect(inbox.requestStop() == .wake)
        #expect(inbox.requestStop() == .nothing)
        #expect(inbox.isStopping)
        #expect(!inbox.fallAsleep())
        #expect(inbox.finishIfEmpty())
        inbox.waitUntilStopped()
    }

    @Test func `what never ran asks to be drained when it is stopped`() {
        let inbox = JobInbox()
        #expect(inbox.requestStop() == .drain)
        #expect(inbox.finishIfEmpty())
    }
}
