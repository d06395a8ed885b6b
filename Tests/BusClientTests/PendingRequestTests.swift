import BusTransport
import BusWire
import Testing

@testable import BusClient

@Suite struct PendingRequestTests {
    private let start = MonotonicInstant(nanoseconds: 1_000_000_000)

    private func request(
        replies: Int = 1, retry: RetryPolicy? = nil, endsAtFirst: Bool = false
    ) -> PendingRequest {
        var options = RequestOptions()
        options.timeout = .seconds(2)
        options.replies = replies
        options.retry = retry
        var request = PendingRequest(options, endsAtFirst: endsAtFirst)
        request.begin(at: start)
        return request
    }

    @Test func `one answer ends a request that wants one, and nobody is left to be told`() {
        var request = request()
        #expect(request.published(responders: 1) == .waits)
        #expect(request.answered(hasMore: false, at: start) == .ended)
        #expect(request.isAccountedFor)
    }

    @Test func `with more responders than answers wanted, somebody is left to be told`() {
        var request = request(replies: 2)
        #expect(request.published(responders: 3) == .waits)
        #expect(request.answered(hasMore: false, at: start) == .waits)
        #expect(request.answered(hasMore: false, at: start) == .ended)
        #expect(!request.isAccountedFor)
    }

    @Test func `a request ends when everyone has answered or is gone, whatever more was wanted`() {
        var request = request(replies: 10)
        #expect(request.unanswered(.responderGone) == .waits)
        #expect(request.published(responders: 3) == .waits)
        #expect(request.answered(hasMore: false, at: start) == .waits)
        #expect(request.answered(hasMore: false, at: start) == .ended)
    }

    @Test func `answers and absences count also when they come before the receipt`() {
        var answered = request(replies: 10)
        #expect(answered.answered(hasMore: false, at: start) == .waits)
        #expect(answered.published(responders: 1) == .ended)
        var gone = request()
        #expect(gone.unanswered(.responderGone) == .waits)
        #expect(gone.published(responders: 1) == .failed(.responderGone))
    }

    @Test func `a request that was lost on its way says why`() {
        var request = request()
        #expect(request.published(responders: 1) == .waits)
        #expect(request.unanswered(.queueFull) == .failed(.lost(.queueFull)))
    }

    @Test func `a streamed answer counts with its last part, and each part gives it time`() {
        var request = request()
        #expect(request.published(responders: 1) == .waits)
        #expect(request.deadline == start + .seconds(2))
        #expect(request.answered(hasMore: true, at: start + .seconds(1)) == .waits)
        #expect(request.deadline == start + .seconds(3))
        #expect(request.timedOut() == .failed(.brokeOff))
        #expect(request.answered(hasMore: false, at: start + .seconds(2)) == .ended)
        #expect(request.deadline == start + .seconds(3))
    }

    @Test func `a responder that is gone within its stream is gone, and isn't asked again`() {
        var request = request(retry: RetryPolicy())
        #expect(request.published(responders: 1) == .waits)
        #expect(request.answered(hasMore: true, at: start) == .waits)
        #expect(request.unanswered(.responderGone) == .failed(.responderGone))
        #expect(request.retryTime(after: .responderGone, at: start, chance: 1) == nil)
    }

    @Test func `who wants the first answer has it with the first part of one`() {
        var request = request(endsAtFirst: true)
        #expect(request.published(responders: 1) == .waits)
        #expect(request.answered(hasMore: true, at: start) == .ended)
        #expect(!request.isAccountedFor)
    }

    @Test func `time that is over is a failure only when nothing came`() {
        var request = request(replies: 3)
        #expect(request.timedOut() == .failed(.timedOut))
        #expect(request.answered(hasMore: false, at: start) == .waits)
        #expect(request.timedOut() == .ended)
    }

    @Test func `retries wait longer each time, up to the longest wait, and end with the attempts`() {
        let policy = RetryPolicy(attempts: 4, backoffMin: .milliseconds(100), backoffMax: .milliseconds(300))
        var request = request(retry: policy)
        var waits: [Duration] = []
        while let time = request.retryTime(after: .noResponders, at: start, chance: 1) {
            waits.append(time - start)
            request.begin(at: time)
        }
        #expect(waits == [.milliseconds(100), .milliseconds(200), .milliseconds(300)])
        #expect(request.attempt == 4)
    }

    @Test(arguments: [
        PendingRequest.Failure.noResponders, .responderGone, .lost(.queueFull), .timedOut, .disconnected(""),
    ])
    func `a failure without any answer is tried again, with chance in the wait`(failure: PendingRequest.Failure) {
        let request = request(retry: RetryPolicy(backoffMin: .milliseconds(100)))
        #expect(request.retryTime(after: failure, at: start, chance: 0.5) == start + .milliseconds(50))
        #expect(self.request().retryTime(after: failure, at: start, chance: 1) == nil)
    }

    @Test func `what has begun to be answered is not asked again`() {
        var request = request(retry: RetryPolicy())
        _ = request.answered(hasMore: true, at: start)
        #expect(request.retryTime(after: .brokeOff, at: start, chance: 1) == nil)
        #expect(request.retryTime(after: .disconnected(""), at: start, chance: 1) == nil)
    }

    @Test func `another attempt counts its responders anew`() {
        var request = request(retry: RetryPolicy())
        #expect(request.published(responders: 1) == .waits)
        #expect(request.unanswered(.responderGone) == .failed(.responderGone))
        request.begin(at: start + .seconds(1))
        #expect(!request.isTaken)
        #expect(request.published(responders: 1) == .waits)
        #expect(request.answered(hasMore: false, at: start) == .ended)
    }
}
