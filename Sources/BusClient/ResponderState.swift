// A responder inside a connection: which requests wait, which are worked on, what was answered.
//
// What it promises: a handler is called once for a request, however often that comes, as long as its answer is kept;
// an acknowledgement covers what is answered, so that a group gives the rest to another member; nothing is held for a
// requester that is gone.

import BusTransport
import BusWire
import DequeModule
import Synchronization

/// Confined to its connection's reactor; `Sendable` so that what the application holds is.
final class ResponderState: @unchecked Sendable {
    /// Weak, since the connection's core holds this: a connection that is forgotten is to end.
    private weak var connection: BusConnection?
    private unowned let core: ClientCore
    let options: SubscribeOptions
    private let handler: @Sendable (Request) async throws -> OutgoingEvent
    private var subscription: SubscriptionState?
    private var deliveries = HandledDeliveries()

    private var waiting: Deque<RequestWork> = []
    private var running = 0
    /// What waits and what runs.
    private var works: [RequestKey: RequestWork] = [:]
    private var byAddress: [ReplyAddress: RequestWork] = [:]
    private var answers = AnswerCache()
    private(set) var isFinishing = false
    private var isOver = false
    private let finishers: Waiters

    /// What an error answer says of the error, in bytes.
    private static let failureLengthMax = 1024

    init(
        _ connection: BusConnection, _ options: SubscribeOptions,
        _ handler: @escaping @Sendable (Request) async throws -> OutgoingEvent
    ) {
        self.connection = connection
        core = connection.core
        var options = options
        options.chosenCreditEvents = options.chosenCreditEvents ?? SubscribeOptions.sharedCreditEvents
        self.options = options
        self.handler = handler
        finishers = Waiters(on: core.reactor)
    }

    // MARK: Beginning and end

    /// Registered before the daemon is asked: its first request may come with the confirmation.
    func began(_ subscription: SubscriptionState) {
        self.subscription = subscription
        core.responding.add(self)
        subscription.onEnd = { [weak self] _ in self?.subscriptionEnded() }
    }

    /// Nothing will come any more, not even what was on its way when the application wanted no more.
    private func subscriptionEnded() {
        end()
        core.responding.remove(self)
    }

    func cancel() {
        guard !isOver else { return }
        subscription?.cancel()
        end()
    }

    /// Waits for the handlers under way, then ends.
    func finish() async {
        guard !isOver else { return }
        isFinishing = true
        for work in waiting {
            decline(work)
            forget(work)
        }
        waiting = []
        await finishers.wait { running == 0 || isOver }
        cancel()
    }

    /// No answer can be given any more.
    func end() {
        guard !isOver else { return }
        isOver = true
        for work in works.values {
            decline(work)
            cancel(work)
        }
        works = [:]
        byAddress = [:]
        waiting = []
        finishers.resumeAll()
    }

    // MARK: Requests

    func take(_ arrival: BatchArrival, delivery: UInt64, length: UInt64) {
        guard !isOver else {
            if case .batch(let batch) = arrival { decline(batch) }
            return
        }
        switch arrival {
        case .batch(let batch):
            deliveries.began(delivery, events: batch.count, bytes: length)
            guard !isFinishing else { return decline(batch) }
            for event in batch { accept(event, delivery) }
            startWaiting()
        case .missed(let missed):
            if delivery > 0 {
                deliveries.began(delivery, events: 0, bytes: 0)
                subscription?.consumed(events: missed.count ?? 0, bytes: length)
                subscription?.handled(through: deliveries.through)
            }
            if let filter = subscription?.filter { core.options.onNotice?(.missed(filter: filter, missed)) }
        case .caughtUp: break
        }
    }

    private func accept(_ event: Event, _ delivery: UInt64) {
        let address = replyAddress(of: event)
        let caller = RequestWork.Caller(address: address, requestID: event.id, delivery: delivery)
        let key = RequestKey(id: event.id, uid: event.publisher.uid, topic: event.topic)
        if let answer = answers[key] {
            send(answer, to: caller)
            return handled(caller)
        }
        // The seal to answer with is opened while the handler works.
        if let address { _ = core.publishing.replyTopic(address.topic) }
        if let work = works[key] {
            join(caller, work)
        } else {
            let work = RequestWork(self, key, event, [caller])
            works[key] = work
            if let address { byAddress[address] = work }
            waiting.append(work)
        }
    }

    private func replyAddress(of event: Event) -> ReplyAddress? {
        guard event.batch.isAnswerable, let topic = event.replyTo else { return nil }
        return ReplyAddress(topic: topic, correlation: event.correlation)
    }

    private func join(_ caller: RequestWork.Caller, _ work: RequestWork) {
        if let address = caller.address { byAddress[address] = work }
        guard !work.isCancelled.load(ordering: .relaxed), let answer = work.answer else {
            return work.lateCallers.append(caller)
        }
        for part in answer.parts { publish(part, to: caller, hasMore: true) }
        work.callers.append(caller)
    }

    private func startWaiting() {
        while running < max(1, options.parallel), let work = waiting.popFirst() {
            guard let connection else { return }
            running += 1
            let request = Request(event: work.event, work: work, connection: connection)
            let (handler, core) = (handler, core)
            work.task = Task(executorPreference: core.reactor) {
                let result: Result<OutgoingEvent, any Error>
                do { result = .success(try await handler(request)) } catch { result = .failure(error) }
                // Whatever became of the connection while the handler ran.
                withExtendedLifetime(core) { self.ended(work, result) }
            }
        }
    }

    /// The handler is done.
    private func ended(_ work: RequestWork, _ result: Result<OutgoingEvent, any Error>) {
        core.reactor.checkIsolated()
        running -= 1
        work.task = nil
        guard !isOver else { return }
        finishers.resume { running == 0 }
        works[work.key] = nil
        let wasCancelled = work.isCancelled.load(ordering: .relaxed)
        switch result {
        case .success(let answer): complete(work, answer)
        case .failure where wasCancelled: break
        case .failure(let error): complete(work, ResponderState.errorAnswer("\(error)"))
        }
        redo(work)
        startWaiting()
    }

    /// Sends the last part to all who wait, and keeps the answer.
    private func complete(_ work: RequestWork, _ answer: OutgoingEvent) {
        var last = answer
        do throws(BusError) { try core.check(last) } catch {
            last = ResponderState.errorAnswer("\(error)")
        }
        for caller in work.callers {
            publish(last, to: caller, hasMore: false)
            handled(caller)
        }
        work.callers = []
        guard var whole = work.answer else { return }
        whole.append(last)
        answers.keep(whole, for: work.key)
        for caller in work.lateCallers {
            send(whole, to: caller)
            handled(caller)
        }
        work.lateCallers = []
    }

    /// Those who came late to a call that gave no answer, or none that could be kept, get a call of their own.
    private func redo(_ work: RequestWork) {
        guard !work.lateCallers.isEmpty, !isFinishing else { return }
        let again = RequestWork(self, work.key, work.event, work.lateCallers)
        works[work.key] = again
        for case let address? in again.callers.map(\.address) { byAddress[address] = again }
        waiting.prepend(again)
    }

    static func errorAnswer(_ text: String) -> OutgoingEvent {
        var text = text.isEmpty ? "failed" : text
        while text.utf8.count > failureLengthMax { text.removeLast() }
        return OutgoingEvent([], headers: [EventHeader(Reply.errorHeader, text)])
    }

    // MARK: Declining

    /// The right to answer stays with the session, so nobody else can say that no answer will come: who asked would wait
    /// until its time is over. In a group the right goes to another member.
    private func decline(_ work: RequestWork) {
        for caller in work.callers + work.lateCallers { decline(caller) }
    }

    private func decline(_ batch: EventBatch) {
        for event in batch {
            decline(RequestWork.Caller(address: replyAddress(of: event), requestID: event.id, delivery: 0))
        }
    }

    private func decline(_ caller: RequestWork.Caller) {
        guard options.group == nil else { return }
        publish(ResponderState.errorAnswer(Reason.responderGone.name), to: caller, hasMore: false)
    }

    // MARK: Cancellation

    /// Nobody waits any more for an answer there.
    func cancelled(_ address: ReplyAddress) {
        guard let work = byAddress.removeValue(forKey: address) else { return }
        for caller in work.callers + work.lateCallers where caller.address == address { handled(caller) }
        work.callers.removeAll { $0.address == address }
        work.lateCallers.removeAll { $0.address == address }
        guard work.callers.isEmpty else { return }
        if work.task == nil {
            // It waits, and has no late callers before it began.
            forget(work)
            waiting.removeAll { $0 === work }
        } else {
            cancel(work)
        }
    }

    private func cancel(_ work: RequestWork) {
        work.isCancelled.store(true, ordering: .releasing)
        work.task?.cancel()
    }

    private func forget(_ work: RequestWork) {
        works[work.key] = nil
        for case let address? in work.callers.map(\.address) { byAddress[address] = nil }
    }

    // MARK: Answers

    /// A part from a handler.
    func send(_ part: OutgoingEvent, of work: RequestWork) throws(BusError) {
        guard !isOver, !work.isCancelled.load(ordering: .relaxed) else { throw .cancelled }
        try core.check(part)
        work.keep(part)
        for caller in work.callers { publish(part, to: caller, hasMore: true) }
    }

    private func send(_ answer: Answer, to caller: RequestWork.Caller) {
        for (index, part) in answer.parts.enumerated() {
            publish(part, to: caller, hasMore: index + 1 < answer.parts.count)
        }
    }

    private func publish(_ event: OutgoingEvent, to caller: RequestWork.Caller, hasMore: Bool) {
        guard let address = caller.address, core.isOpen else { return }
        let marks = EventMarks(
            id: event.id, correlation: address.correlation, causation: caller.requestID,
            traits: hasMore ? .hasMore : [])
        _ = core.publishing.gather(event, on: core.publishing.replyTopic(address.topic), marks)
    }

    /// Nothing more is to be done for a request.
    private func handled(_ caller: RequestWork.Caller) {
        if let address = caller.address { byAddress[address] = nil }
        // Of an earlier connection: neither credit nor acknowledgement are its.
        guard caller.delivery > 0 else { return }
        let bytes = deliveries.handledOne(of: caller.delivery)
        subscription?.consumed(events: 1, bytes: bytes)
        subscription?.handled(through: deliveries.through)
    }

    // MARK: Connections come and go

    /// The right to answer is gone with the connection. What runs goes on, since the request may come again; what
    /// waits and was asked is forgotten; what was published rather than asked is still to be done.
    func connectionLost() {
        deliveries = HandledDeliveries()
        byAddress = [:]
        for work in works.values {
            work.callers = work.callers.filter { $0.address == nil }.map {
                RequestWork.Caller(address: nil, requestID: $0.requestID, delivery: 0)
            }
            work.lateCallers = []
        }
        for work in waiting where work.callers.isEmpty { works[work.key] = nil }
        waiting.removeAll { $0.callers.isEmpty }
    }
}
