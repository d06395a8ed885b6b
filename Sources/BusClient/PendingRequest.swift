// One request's account: who has it, who answered, how long it may take, whether it is made again. Pure: time and
// chance are passed in.

import BusTransport
import BusWire

/// A request that waits for answers.
struct PendingRequest {
    /// What is to be done next.
    enum Progress: Equatable {
        /// Nothing: more may come.
        case waits
        /// No more is wanted, or no more will come.
        case ended
        /// It got no answer, or only the beginning of one.
        case failed(Failure)
    }

    /// Why there is no answer.
    enum Failure: Equatable {
        case noResponders
        case responderGone
        /// It was lost before anybody who would answer had it, for this reason.
        case lost(Reason)
        case timedOut
        /// A streamed answer began and didn't go on in time.
        case brokeOff
        case disconnected(String)
    }

    private let timeout: Duration
    private let retry: RetryPolicy?
    /// Whether the first answer, or the first part of one, is all that is wanted.
    private let endsAtFirst: Bool
    private let answersWanted: Int

    /// The attempt under way, from 1.
    private(set) var attempt = 0
    /// Whether the daemon has taken this attempt.
    private(set) var isTaken = false
    /// How many had it; nil as long as the daemon hasn't said.
    private(set) var responderCount: Int?
    /// Answers to their last part.
    private var finalCount = 0
    /// Responders that are gone.
    private var goneCount = 0
    /// Why the last of them won't answer.
    private var goneReason = Reason.responderGone
    /// Whether anything came.
    private(set) var hasAnswer = false
    /// Whether the last that came was a part with more to follow.
    private(set) var isWithinStream = false
    /// When it was long enough.
    private(set) var deadline = MonotonicInstant(nanoseconds: 0)

    init(_ options: RequestOptions, endsAtFirst: Bool) {
        timeout = options.timeout
        retry = options.retry
        answersWanted = max(1, options.replies)
        self.endsAtFirst = endsAtFirst
    }

    /// Another attempt begins.
    mutating func begin(at now: MonotonicInstant) {
        attempt += 1
        isTaken = false
        responderCount = nil
        goneCount = 0
        deadline = now + timeout
    }

    /// The daemon said how many have it; 0 is a daemon that doesn't say.
    mutating func published(responders: Int) -> Progress {
        isTaken = true
        responderCount = responders == 0 ? nil : responders
        return isAccountedFor ? withoutMore() : .waits
    }

    /// An answer came, or a part of one.
    mutating func answered(hasMore: Bool, at now: MonotonicInstant) -> Progress {
        hasAnswer = true
        isWithinStream = hasMore
        if hasMore {
            // A stream may take as long as it likes as long as it goes on.
            deadline = now + timeout
        } else {
            finalCount += 1
        }
        if endsAtFirst || finalCount >= answersWanted { return .ended }
        return isAccountedFor ? withoutMore() : .waits
    }

    /// One of those who have it won't answer.
    mutating func unanswered(_ reason: Reason) -> Progress {
        goneCount += 1
        goneReason = reason
        return isAccountedFor ? withoutMore() : .waits
    }

    /// The deadline passed.
    func timedOut() -> Progress {
        if isWithinStream { return .failed(.brokeOff) }
        return hasAnswer ? .ended : .failed(.timedOut)
    }

    /// Whether all who have it have answered to the end or are gone: then the daemon has closed it by itself.
    var isAccountedFor: Bool {
        guard let responderCount else { return false }
        return finalCount + goneCount >= responderCount
    }

    private func withoutMore() -> Progress {
        // Whoever was within a stream is the one that is gone: the others ended theirs.
        if hasAnswer, !isWithinStream { return .ended }
        return .failed(goneReason == .responderGone ? .responderGone : .lost(goneReason))
    }

    /// When to try again after a failure; nil for not.
    ///
    /// - Parameter chance: 0.5 to 1.5, by which the wait is multiplied.
    func retryTime(after failure: Failure, at now: MonotonicInstant, chance: Double) -> MonotonicInstant? {
        // What has begun to be answered is not asked again.
        guard let retry, !hasAnswer, attempt < retry.attempts else { return nil }
        let doubled = retry.backoffMin * (1 << min(attempt - 1, 30))
        return now + min(doubled, retry.backoffMax) * chance
    }
}
