// Requests on durable topics. They are open from when they are taken, and handed out when they are on disk; who answers
// may have come or gone in between. What came of each is noted in the ledger, where a trace finds it: who answered, and
// with which event; who had it and won't; and that nobody waits any more.
//
// A batch of requests on a live topic has no place in the store, and that is all that is looked at there.

import BusWire

extension Broker {
    // MARK: On disk

    /// A batch of requests is on disk, and about to be fanned out: whoever answers now is handed them.
    ///
    /// - Returns: for how many each of them waits.
    func handOut(_ batch: RequestBatch, _ route: Route) -> UInt16 {
        let open = openRequests(of: batch)
        for request in open { request.waitingCount = route.responderCount }
        guard route.responderCount == 0 else { return UInt16(clamping: route.responderCount) }
        // Somebody was there when it was published: it is told like one who is gone before it was handed out.
        for request in open { tellUnanswered(request, .responderGone) }
        return 1
    }

    /// The store didn't take them: they were never made.
    func takeBack(_ batch: RequestBatch) {
        for request in openRequests(of: batch) { forget(request) }
    }

    // MARK: The ledger

    /// Notes what came of a request whose event is stored.
    ///
    /// - Parameters:
    ///   - session: whose doing it is; nil where it was nobody's.
    ///   - answer: the event that answers it.
    func note(
        _ outcome: LedgerLine.Outcome, _ request: OpenRequest, by session: SessionID?, reason: Reason? = nil,
        answer: @autoclosure () -> BusUUID = .zero
    ) {
        guard let (position, time) = request.batch.stored else { return }
        note(
            LedgerLine(
                subscription: LedgerLine.requests, first: position + UInt64(request.place), count: 1, outcome: outcome,
                session: session?.rawValue ?? 0, attempt: 0, sent: time, time: now.wall, reason: reason,
                answer: answer()))
    }
}
