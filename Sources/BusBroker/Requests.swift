// A request on its way: who made it, who may answer it, for whom it still waits.

import BusWire

/// The requests of one published batch, one for each event.
final class RequestBatch {
    let requester: SessionID
    let correlations: [BusUUID]
    /// Of requests on a durable topic: where the first one lies, and when they were accepted.
    var stored: (position: UInt64, time: Int64)?

    init(requester: SessionID, correlations: [BusUUID]) {
        self.requester = requester
        self.correlations = correlations
    }
}

/// One request that waits for answers. It is over when nobody has it any more who could answer.
final class OpenRequest {
    let correlation: BusUUID
    /// What it was published in: one of the same correlation that came later is another request.
    let batch: RequestBatch
    /// Which event of it.
    let place: Int
    /// Its session has it in its table, and takes it out of all others' before it goes.
    unowned let requester: Session
    /// Subscriptions that answer and weren't handed it yet.
    var waitingCount: Int
    /// Who may answer, each as often as it was handed the request and hasn't.
    private(set) var responders: [SessionID] = []

    init(
        _ correlation: BusUUID, in batch: RequestBatch, at place: Int = 0, of requester: Session, waitingCount: Int
    ) {
        self.correlation = correlation
        self.batch = batch
        self.place = place
        self.requester = requester
        self.waitingCount = waitingCount
    }

    var isOver: Bool { waitingCount == 0 && responders.isEmpty }

    func handed(to responder: SessionID) {
        waitingCount -= 1
        responders.append(responder)
    }

    func taken(from responder: SessionID) {
        if let index = responders.firstIndex(of: responder) { responders.remove(at: index) }
    }
}

/// What a session may answer: requests by their requester and correlation, each with how often it was handed to it.
struct ReplyRights {
    private struct Right {
        let request: OpenRequest
        var count: Int
    }

    private var rights: [SessionID: [BusUUID: Right]] = [:]

    var isEmpty: Bool { rights.isEmpty }
    var count: Int { rights.values.reduce(0) { $0 + $1.count } }

    /// Whether there is any request of this session.
    func hasAny(of requester: SessionID) -> Bool { rights[requester] != nil }

    /// The request, if it may be answered.
    func request(_ correlation: BusUUID, of requester: SessionID) -> OpenRequest? {
        rights[requester]?[correlation]?.request
    }

    /// All of them, in an order of their own that is always the same.
    var requests: [OpenRequest] {
        rights.values.flatMap(\.values).map(\.request).sorted {
            ($0.requester.id.rawValue, $0.correlation) < ($1.requester.id.rawValue, $1.correlation)
        }
    }

    mutating func add(_ request: OpenRequest) {
        let fresh = Right(request: request, count: 0)
        rights[request.requester.id, default: [:]][request.correlation, default: fresh].count += 1
    }

    /// Takes one right away; false where there is none.
    mutating func remove(_ request: OpenRequest) -> Bool {
        guard let right = rights[request.requester.id]?[request.correlation] else { return false }
        guard right.count == 1 else {
            rights[request.requester.id]?[request.correlation]?.count -= 1
            return true
        }
        removeAll(request)
        return true
    }

    /// Takes all rights to a request away.
    mutating func removeAll(_ request: OpenRequest) {
        let requester = request.requester.id
        rights[requester]?[request.correlation] = nil
        if rights[requester]?.isEmpty == true { rights[requester] = nil }
    }
}
