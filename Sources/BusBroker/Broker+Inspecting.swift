// What a broker tells about itself: totals, and pages of rows about sessions, topics, subscriptions and users.
//
// The first page takes a snapshot of what there is, in order; the others go on in it. So a listing shows each thing once
// however much comes and goes meanwhile; the first page sorts everything, the others cost what they hold.

import BusWire

/// Running totals since the daemon started, and what is held now.
struct Totals {
    var sessionsOpened: UInt64 = 0
    var requestsRefused: UInt64 = 0
    var batchesAccepted: UInt64 = 0
    var eventsAccepted: UInt64 = 0
    var bytesAccepted: UInt64 = 0
    var batchesDelivered: UInt64 = 0
    var eventsDelivered: UInt64 = 0
    var bytesDelivered: UInt64 = 0
    var eventsMissed: UInt64 = 0
    var publishesStalled: UInt64 = 0
    var requestsMade: UInt64 = 0
    var requestsCancelled: UInt64 = 0
    var answersGiven: UInt64 = 0
    var willsPublished: UInt64 = 0
    var topicsForgotten: UInt64 = 0
    var circuitsOpened: UInt64 = 0
    /// Held now.
    var eventsQueued: UInt64 = 0
    var bytesQueued: UInt64 = 0
}

/// What there was when somebody began to read a listing.
struct InspectionSnapshot {
    /// The things, each by what finds it again.
    enum Things {
        case sessions([SessionID])
        case topics([Topic])
        case consumers([(session: SessionID, number: UInt32)])
        case users([UInt32])

        var count: Int {
            switch self {
            case .sessions(let all): all.count
            case .topics(let all): all.count
            case .consumers(let all): all.count
            case .users(let all): all.count
            }
        }
    }

    let kind: InspectionKind
    let things: Things
}

extension Broker {
    /// What a page counts as in a round, in bytes: about its rows. Not tuned.
    private static let pageLength = 64 << 10

    func inspect(_ question: Inspect, _ session: Session) {
        if InspectionKind.asked.contains(question.kind), storage != nil {
            return emit(.inspect(session.id, question))
        }
        do throws(InspectionFault) {
            let (rows, after) = try rows(for: question, session)
            answer(session, .inspected(Inspected(request: question.request, rows: rows, after: after)))
        } catch {
            refuse(session, .inspect, request: UInt64(question.request), error.reason, error.message)
        }
    }

    private func rows(
        for question: Inspect, _ session: Session
    ) throws(InspectionFault) -> ([[InspectedValue]], UInt64) {
        switch question.kind {
        case .status: return ([status], 0)
        case .declarations: return (try chosen(declarationRows, question), 0)
        case .durableSubscriptions: return (try chosen(durableRows, question), 0)
        default: break
        }
        guard InspectionKind.listed.contains(question.kind) else {
            let message = "nothing is known about questions of kind \(question.kind.rawValue)"
            throw InspectionFault(reason: .notSupported, message: message)
        }
        guard question.key.isEmpty else { return ([try row(question.kind, key: question.key)], 0) }
        // Pages count as what is handed over in a round: who asks for more than it reads has to read first.
        guard canWrite(session) else {
            throw InspectionFault(reason: .quotaExceeded, message: "read the pages that were answered before")
        }
        session.roundLength += Broker.pageLength
        if question.after == 0 { session.snapshot = snapshot(question.kind) }
        guard let snapshot = session.snapshot, snapshot.kind == question.kind, question.after <= snapshot.things.count
        else {
            throw InspectionFault(reason: .unknownName, message: "there is no page after \(question.after): begin anew")
        }
        let start = Int(question.after)
        let wanted = start..<min(start + configuration.pageRowCountMax, snapshot.things.count)
        let (rows, end) = rows(of: snapshot.things, wanted)
        guard end < snapshot.things.count else {
            session.snapshot = nil
            return (rows, 0)
        }
        return (rows, UInt64(end))
    }

    /// All rows, or the one whose first value is the key.
    private func chosen(
        _ rows: [[InspectedValue]], _ question: Inspect
    ) throws(InspectionFault) -> [[InspectedValue]] {
        guard !question.key.isEmpty else { return rows }
        if let row = rows.first(where: { $0.first?.value == .text(question.key) }) { return [row] }
        throw InspectionFault(reason: .unknownName, message: "there is no \(question.kind.noun) \(question.key)")
    }

    private func snapshot(_ kind: InspectionKind) -> InspectionSnapshot {
        let things: InspectionSnapshot.Things
        switch kind {
        case .sessions: things = .sessions(sessions.keys.sorted { $0.rawValue < $1.rawValue })
        case .topics: things = .topics(topics.keys.sorted { $0.bytes.lexicographicallyPrecedes($1.bytes) })
        case .subscriptions:
            let all = sessions.values.flatMap { session in session.consumers.keys.map { (session.id, $0) } }
            things = .consumers(
                all.sorted { ($0.0.rawValue, $0.1) < ($1.0.rawValue, $1.1) }.map { (session: $0.0, number: $0.1) })
        default: things = .users(accounts.keys.sorted())
        }
        return InspectionSnapshot(kind: kind, things: things)
    }

    /// Whether a session is one: it has said hello, and isn't being closed.
    private func isShown(_ session: Session) -> Bool { session.phase == .open || session.phase == .leaving }

    /// Rows of what is still there, and where the next page begins.
    private func rows(of things: InspectionSnapshot.Things, _ range: Range<Int>) -> ([[InspectedValue]], Int) {
        switch things {
        case .sessions(let ids):
            (ids[range].compactMap { sessions[$0] }.filter(isShown).map { row(of: $0) }, range.upperBound)
        case .topics(let names): topicRows(names, range)
        case .consumers(let keys):
            (keys[range].compactMap { sessions[$0.session]?.consumers[$0.number] }.map(row), range.upperBound)
        case .users(let uids): (uids[range].compactMap { accounts[$0] }.map(row), range.upperBound)
        }
    }

    /// A topic's row may need its route, which filters can be made to make dear: the page ends early then.
    private func topicRows(_ names: [Topic], _ range: Range<Int>) -> ([[InspectedValue]], Int) {
        var rows: [[InspectedValue]] = []
        let visits = filters.visitCount
        for index in range {
            guard filters.visitCount - visits < Broker.pageVisitCountMax else { return (rows, index) }
            if let topic = topics[names[index]] { rows.append(row(topic)) }
        }
        return (rows, range.upperBound)
    }

    /// Nodes of filters that one page may look at, some milliseconds' worth, and those of one topic more. Not tuned.
    private static let pageVisitCountMax: UInt64 = 65_536

    /// The one thing that a key names.
    private func row(_ kind: InspectionKind, key: String) throws(InspectionFault) -> [InspectedValue] {
        switch kind {
        case .sessions:
            if let session = UInt64(key).flatMap({ sessions[SessionID($0)] }), isShown(session) {
                return row(of: session, isWhole: true)
            }
        case .topics:
            if let topic = (try? Topic(key)).flatMap({ topics[$0] }) { return row(topic) }
        case .subscriptions:
            let parts = key.split(separator: "/", omittingEmptySubsequences: false)
            if parts.count == 2, let id = UInt64(parts[0]), let number = UInt32(parts[1]),
                let consumer = sessions[SessionID(id)]?.consumers[number]
            {
                return row(consumer)
            }
        default:
            if let account = UInt32(key).flatMap({ accounts[$0] }) { return row(account) }
        }
        throw InspectionFault(reason: .unknownName, message: "there is no \(kind.noun) \(key)")
    }
}

/// Why a question has no answer.
private struct InspectionFault: Error {
    let reason: Reason
    let message: String
}
