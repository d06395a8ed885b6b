// Rounds, time, and the end of everything.

import BusBroker
import BusWire

extension World {
    /// Ends a round and does what a runner then does: derives keys, writes, and tells what the kernel took.
    func endRound() throws(Violation) {
        note("end of round")
        try settle()
        try model.checkRound()
        if let fault = broker.audit().first { throw Violation("audit: \(fault)") }
        try checkDeadline()
        askedForRound = false
        for order in orders {
            let keyCheck = [UInt8](repeating: UInt8(truncatingIfNeeded: order.seal), count: 16)
            try handle(.sealDerived(seal: order.seal, session: order.session, keyCheck: keyCheck))
        }
        orders = []
        for session in model.sessionsInOrder where session.isDirty && !session.isBlocked {
            if session.phase != .closed, chance.chance(knobs.blockPercent) {
                try handle(.blocked(session.id))
            } else if !isDeaf(session), chance.chance(knobs.drainPercent) {
                try handle(.drained(session.id))
            }
        }
        for session in model.sessionsInOrder where session.phase == .closed && chance.chance(50) {
            try handle(.disconnected(session.id))
        }
        try checkRoundIsAskedFor()
    }

    /// Ends rounds until the broker has nothing more to do, which must be soon.
    private func settle() throws(Violation) {
        for count in 0..<8 {
            broker.endRound(at: model.now)
            try absorb(isRound: true)
            // Going down, it always asks for one more.
            guard broker.needsRound, !model.isDraining || count < 2 else { return }
            note("another round")
        }
        throw Violation("asks for one round after the other")
    }

    /// Handles an input that comes behind a round.
    func handleAfterRound(_ input: Input) throws(Violation) {
        try handle(input)
        try checkRoundIsAskedFor()
    }

    /// What happens behind a round makes another only where the broker asks for one: else it must need none.
    private func checkRoundIsAskedFor() throws(Violation) {
        guard !askedForRound else { return }
        broker.endRound(at: model.now)
        if let effect = broker.nextEffect() { throw Violation("asked for no round, and had \(effect) to do") }
    }

    /// A runner that sleeps until `nextDeadline` must not sleep through one, nor wake for one that is over.
    private func checkDeadline() throws(Violation) {
        guard let deadline = broker.nextDeadline else { return }
        try expect(deadline > model.now.monotonic, "asks to be called at \(deadline), which is over")
    }

    func advance(_ nanoseconds: UInt64) throws(Violation) {
        model.now.monotonic += nanoseconds
        // The wall clock may stand still or go back; the topic's time must not.
        model.now.wall += Int64(nanoseconds / 1000) * Int64(chance.within(-1...2))
        note("time \(model.now.monotonic)")
        try endRound()
    }

    /// Everybody goes, in any order, and nothing may be left.
    func end() throws(Violation) {
        stepNumber += 1
        try endRound()
        while let session = chance.pickAny(model.sessionsInOrder) {
            try handle(.disconnected(session.id))
            if chance.chance(30) { try endRound() }
        }
        try endRound()
        try expect(broker.isIdle, "everybody is gone and something is still held")
        try expect(!model.isDraining || model.stoppedCount == 1, "stopped \(model.stoppedCount) times")
        // Topics are remembered a while longer.
        model.now.monotonic += knobs.configuration.topicIdleTime
        try endRound()
        try expect(broker.nextDeadline == nil || model.isDraining, "everybody is gone and a deadline is left")
    }
}
