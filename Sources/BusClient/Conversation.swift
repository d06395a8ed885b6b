// A request from its first attempt to its last answer. `PendingRequest` keeps its account; this carries out what
// follows: publishing, the timer, the task that waits, and word to the daemon when nobody waits any more.

import BusTransport
import BusWire
import DequeModule

/// Confined to its connection's reactor; `Sendable` so that cancellation can be brought there.
final class Conversation: @unchecked Sendable {
    private unowned let core: ClientCore
    private let reactor: Reactor
    private let event: OutgoingEvent
    private let topic: Topic
    let id: BusUUID
    let correlation: BusUUID
    private let circuit: CircuitPolicy?
    private var pending: PendingRequest
    private var standing = Standing.idle
    /// Which attempt that is; one whose batch never left stands for those behind it.
    private var gathered = 0
    private var timer: DeadlineTimer?

    private var replies: Deque<Reply> = []
    private var repliesLength = 0
    private var waiting: CheckedContinuation<Result<Reply?, BusError>, Never>?
    private var result: Result<Void, BusError>?

    /// Where the attempt under way stands.
    private enum Standing {
        /// There is none: before the first, between two, or the daemon has closed it.
        case idle
        /// In a batch that wasn't sent yet.
        case gathered
        /// With the daemon.
        case sent
    }

    /// An attempt as its batch knows it.
    struct Attempt {
        let conversation: Conversation
        let number: Int

        var isOver: Bool { conversation.isOver }
        func sent() { conversation.sent(number) }
        func published(_ result: Result<Receipt?, BusError>) { conversation.published(number, result) }
    }

    /// What answers may hold before the application takes them: a stream that runs away from its reader is ended.
    /// Not tuned.
    static let repliesLengthMax = 16 << 20

    init(
        _ core: ClientCore, _ event: OutgoingEvent, _ topic: Topic, _ options: RequestOptions, endsAtFirst: Bool
    ) {
        self.core = core
        self.event = event
        self.topic = topic
        reactor = core.reactor
        id = event.id ?? core.publishing.makeID()
        correlation = event.correlation ?? id
        circuit = options.circuit
        pending = PendingRequest(options, endsAtFirst: endsAtFirst)
    }

    /// Whether nobody waits for anything any more.
    var isOver: Bool { result != nil }
    var isWithinStream: Bool { pending.isWithinStream }

    // MARK: Attempts

    /// Makes the request, or makes it again.
    func attempt() {
        pending.begin(at: .now())
        arm(at: pending.deadline)
        // One that never left, or that waits behind a stall, needs no other.
        guard standing == .idle else { return }
        standing = .gathered
        gathered = pending.attempt
        let publisher = core.publishing.topic(topic)
        var marks = core.publishing.marks(event, on: publisher)
        (marks.id, marks.correlation) = (id, correlation)
        // Another attempt is to be delivered, though its id is known.
        marks.traits = [.wantsReceipt, .isRequest]
        let batch = core.publishing.gather(event, on: publisher, marks)
        batch.attempts.append(Attempt(conversation: self, number: gathered))
    }

    private func arm(at instant: MonotonicInstant) {
        let timer = timer ?? DeadlineTimer(on: reactor) { [weak self] in self?.due() }
        self.timer = timer
        timer.arm(at: instant)
    }

    /// Its batch was written.
    private func sent(_ number: Int) {
        guard number == gathered, standing == .gathered else { return }
        standing = .sent
        if isOver { tellCancelled() }
    }

    /// The daemon took it, or refused it.
    private func published(_ number: Int, _ result: Result<Receipt?, BusError>) {
        guard number == gathered, standing != .idle else { return }
        switch result {
        case .success(let receipt):
            let progress = pending.published(responders: Int(receipt?.responders ?? 0))
            // Over before it was known how many have it: enough had come, or nobody waited any more while it waited
            // behind a stall, where the daemon doesn't know it yet.
            if isOver { return tellCancelled() }
            take(progress)
        case .failure(.refused(.noResponders, _)): fail(.noResponders)
        case .failure(.disconnected(let why)): fail(.disconnected(why))
        case .failure(let error):
            standing = .idle
            finish(.failure(error), .abandoned)
        }
    }

    func unanswered(_ reason: Reason) {
        guard standing == .sent else { return }
        take(pending.unanswered(reason))
    }

    func connectionLost(_ why: String) {
        if isOver { standing = .idle }
        if standing == .sent { fail(.disconnected(why)) }
    }

    /// The timer: the time is over, or a retry is due.
    private func due() {
        guard !isOver else { return }
        let now = MonotonicInstant.now()
        guard standing == .idle else { return take(pending.timedOut()) }
        if circuit != nil, let until = core.requesting.circuitRefusal(topic) {
            return finish(.failure(core.requesting.circuitOpen(topic, until, at: now)), nil)
        }
        attempt()
    }

    // MARK: Answers

    func answered(_ reply: Reply) {
        guard !isOver else { return }
        if reply.isDeclined { return unanswered(.responderGone) }
        repliesLength += reply.payload.count
        guard repliesLength <= Conversation.repliesLengthMax else {
            let what = "more than \(Conversation.repliesLengthMax) bytes of answers waited to be taken"
            return finish(.failure(.refused(.queueFull, what)), .answered)
        }
        let progress = pending.answered(hasMore: reply.hasMore, at: .now())
        replies.append(reply)
        if reply.hasMore { arm(at: pending.deadline) }
        resume()
        take(progress)
    }

    /// Parts of answers were lost on their way.
    func missed(_ missed: Missed) {
        guard pending.isWithinStream else { return }
        finish(.failure(.refused(missed.reason, "parts of the answer were lost on their way")), .answered)
    }

    private func take(_ progress: PendingRequest.Progress) {
        guard !isOver else { return }
        switch progress {
        case .waits: break
        case .ended: finish(.success(()), .answered)
        case .failed(let failure): fail(failure)
        }
    }

    private func fail(_ failure: PendingRequest.Failure) {
        guard !isOver else {
            standing = .idle
            return
        }
        // One that the daemon hasn't said anything of is still on its way: another attempt is only more time for it.
        let isUnderWay = failure == .timedOut && !pending.isTaken
        switch failure {
        case .timedOut, .brokeOff: if standing == .sent, !isUnderWay { tellCancelled() }
        case .noResponders, .responderGone, .lost, .disconnected: standing = .idle
        }
        let now = MonotonicInstant.now()
        let chance = Double.random(in: 0.5...1.5)
        if core.failure == nil, let time = pending.retryTime(after: failure, at: now, chance: chance) {
            note(failure)
            return isUnderWay ? attempt() : arm(at: time)
        }
        finish(.failure(error(failure)), outcome(failure))
    }

    private func note(_ failure: PendingRequest.Failure) {
        if let circuit { core.requesting.note(outcome(failure), topic, circuit) }
    }

    private func outcome(_ failure: PendingRequest.Failure) -> Circuits.Outcome {
        switch failure {
        case .noResponders, .responderGone, .lost, .timedOut: .unanswered
        case .brokeOff: .answered
        // Nobody knows how the responder would have done.
        case .disconnected: .abandoned
        }
    }

    private func error(_ failure: PendingRequest.Failure) -> BusError {
        switch failure {
        case .noResponders: .noResponders(topic)
        case .responderGone: .responderGone(topic)
        case .lost(let reason): .refused(reason, "the request on \(topic) was lost before a responder had it")
        case .timedOut: .timedOut("no answer came on \(topic) in time")
        case .brokeOff: .timedOut("the answer on \(topic) began and didn't go on")
        case .disconnected(let why): .disconnected(why)
        }
    }

    // MARK: The end

    /// - Parameter outcome: what it says about its circuit; nil for nothing.
    private func finish(_ result: Result<Void, BusError>, _ outcome: Circuits.Outcome?) {
        guard !isOver else { return }
        self.result = result
        timer?.disarm()
        core.requesting.remove(self)
        if let circuit, let outcome { core.requesting.note(outcome, topic, circuit) }
        if standing == .sent { tellCancelled(didEnd: (try? result.get()) != nil) }
        resume()
    }

    /// Nobody waits for more: unless all have answered, those who have it are told.
    ///
    /// - Parameter didEnd: enough came, so that it may wait until it is known whether anybody else has it.
    private func tellCancelled(didEnd: Bool = false) {
        guard !pending.isAccountedFor else {
            standing = .idle
            return
        }
        // Once more when the daemon has taken it: it may wait behind a stall until then.
        if pending.isTaken { standing = .idle }
        guard pending.isTaken || !didEnd, core.requesting.isFree(correlation, for: self) else { return }
        core.write(.cancelRequest(correlation: correlation))
    }

    /// No answer can come any more, which says nothing about who would have answered.
    func end(_ error: BusError) { finish(.failure(error), .abandoned) }

    /// Nobody takes the answers any more.
    func giveUp() {
        guard !isOver else { return }
        finish(.failure(.cancelled), .abandoned)
        replies = []
    }

    /// `giveUp` from anywhere.
    func abandon() { Task(executorPreference: reactor) { self.giveUp() } }

    // MARK: Taking

    /// The next answer; nil at the end.
    func next(isolation: isolated (any Actor)? = #isolation) async throws(BusError) -> Reply? {
        try await withTaskCancellationHandler {
            // Captured, so that the closure is isolated like its caller.
            _ = isolation
            return await withCheckedContinuation { continuation in
                precondition(waiting == nil, "one task at a time takes a request's answers")
                waiting = continuation
                if Task.isCancelled { giveUp() }
                resume()
            }
        } onCancel: {
            abandon()
        }.get()
    }

    private func resume() {
        guard let waiting else { return }
        if let reply = replies.popFirst() {
            repliesLength -= reply.payload.count
            self.waiting = nil
            waiting.resume(returning: .success(reply))
        } else if let result {
            self.waiting = nil
            waiting.resume(returning: result.map { nil })
        }
    }
}
