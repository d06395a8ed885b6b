// Progress and receipts: what became of a session's publishes, told once a round, or later where nobody waits.

import BusWire
import DequeModule

extension Broker {
    /// Notes that a publish is handled. Telling it costs a wake-up of the publisher, so that a patient one is told
    /// with the next frame to it, after a few publishes, or after a few milliseconds.
    func progress(_ session: Session, isPatient: Bool) {
        session.progress += 1
        session.untoldCount += 1
        let isFew =
            session.untoldCount < configuration.patientCountMax
            && session.untoldLength < configuration.publishWindow / 4
        guard isPatient, isFew, !session.isUnreceipted else { return tellAtRoundEnd(session) }
        guard !session.isPatient else { return }
        session.isPatient = true
        patient.append((now.monotonic + configuration.patience, session.id))
    }

    /// Sessions whose patience is over are told at this round's end. Who was told meanwhile, or is gone, leaves no
    /// deadline in front of the others.
    func expirePatience() {
        while let first = patient.first {
            let waits = sessions[first.session].flatMap { $0.isPatient ? $0 : nil }
            guard first.deadline <= now.monotonic || waits == nil else { break }
            patient.removeFirst()
            if let waits { tellAtRoundEnd(waits) }
        }
    }

    /// Has a session told at the end of this round; one that was closed has been told all it is told.
    func tellAtRoundEnd(_ session: Session) {
        guard !session.isUnreceipted, session.phase != .closing else { return }
        session.isPatient = false
        session.isUnreceipted = true
        unreceipted.append(session)
        // Where the round is over already, another one must come.
        if !session.isBlocked { mayTell = true }
    }

    func sync(_ session: Session) {
        if session.isPatient { tellAtRoundEnd(session) }
    }

    /// One frame a session and round, whatever it published in it. A session that doesn't read is told later, and
    /// until then what it published counts against its window.
    func tellReceipts() {
        mayTell = false
        var later: [Session] = []
        for session in unreceipted where session.isUnreceipted {
            if session.isBlocked { later.append(session) } else { tellReceipts(to: session) }
        }
        unreceipted = later
    }

    /// Tells a session now how far its publishes are, whether it reads or not: nothing may be said behind an end.
    func tellReceipts(to session: Session) {
        guard session.isUnreceipted || session.isPatient else { return }
        session.isUnreceipted = false
        session.isPatient = false
        session.untoldCount = 0
        session.untoldLength = session.parkedLength
        var rest = session.receipts[...]
        session.receipts = []
        guard session.phase == .open || session.phase == .leaving else { return }
        // A window of the smallest batches has more receipts than a frame may hold.
        while rest.count > Broker.receiptCountMax {
            let part = rest.prefix(Broker.receiptCountMax)
            rest = rest.dropFirst(Broker.receiptCountMax)
            let progress = part.last?.number ?? 0
            emit(.send(session.id, .receipts(Receipts(progress: progress, receipts: Array(part)))))
        }
        emit(.send(session.id, .receipts(Receipts(progress: session.progress, receipts: Array(rest)))))
    }

    /// Receipts of one frame: 128 KiB, below every daemon's frame limit. Not tuned.
    static let receiptCountMax = 4096
}
