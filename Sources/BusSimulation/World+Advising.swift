// What the runner does for the daemon itself: seals of its own, and batches of what it has to say.

import BusBroker
import BusWire

extension World {
    /// Does what an effect asks for and gives it back at once; whether it asked for anything.
    func publishOwn(_ effect: Effect) throws(Violation) -> Bool {
        switch effect {
        case .openOwnSeal(let seal, let topic, _): try openOwnSeal(seal, topic)
        case .advise(let seal, let advisories): try advise(seal, advisories)
        default: return false
        }
        return true
    }

    private func openOwnSeal(_ seal: UInt64, _ topic: Topic) throws(Violation) {
        // Keys can't always be had.
        guard !chance.chance(knobs.ownSealFailPercent) else {
            note("no key for the daemon's seal \(seal)")
            model.failOwnSeal(seal)
            return broker.handle(.ownSealFailed(seal: seal), at: model.now)
        }
        let salt = [UInt8](repeating: UInt8(truncatingIfNeeded: seal), count: 32)
        let keyCheck = [UInt8](repeating: UInt8(truncatingIfNeeded: seal), count: 16)
        note("the daemon's seal \(seal) for \(topic)")
        model.openOwnSeal(seal, salt, keyCheck)
        broker.handle(.ownSealOpened(seal: seal, salt: salt, keyCheck: keyCheck), at: model.now)
    }

    private func advise(_ seal: UInt64, _ advisories: [Advisory]) throws(Violation) {
        let batch = SampleBatch(
            seal: seal, counter: model.ownSeals[seal]?.clientCounter ?? 0, eventCount: UInt32(advisories.count),
            firstID: BusUUID(high: 8, low: seal << 32 + nextBatch))
        nextBatch += UInt64(advisories.count)
        let bytes = batch.bytes
        try model.acceptOwn(seal, bytes, advisories)
        broker.handle(.advised(seal: seal, batch: bytes), at: model.now)
    }
}
