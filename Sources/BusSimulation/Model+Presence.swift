// Who comes and goes is told, once each, in order, with the right identity and reason, to whoever listens.

import BusBroker
import BusWire

/// Word of somebody who came or went.
struct OwedAdvisory {
    let advisory: Advisory
    /// Whether somebody listened when it happened: else it may be left unsaid.
    let isHeard: Bool
}

extension Model {
    private func topic(of advisory: Advisory) -> Topic {
        switch advisory {
        case .sessionOpened: openedTopic
        case .sessionClosed: closedTopic
        case .deadLetter: preconditionFailure("without a store nothing is given up on")
        }
    }

    /// Somebody came or went.
    func oweAdvisory(_ advisory: Advisory) {
        guard configuration.announcesSessions else { return }
        // While it goes down the daemon may leave unsaid who goes.
        let isHeard = !isDraining && !matches(topic(of: advisory)).isEmpty
        advisories.append(OwedAdvisory(advisory: advisory, isHeard: isHeard))
    }

    /// A session that was authenticated is gone.
    func oweClosed(_ session: ModelSession, _ reason: Reason) {
        oweAdvisory(.sessionClosed(session.id, session.peer, name: session.name, reason))
    }

    func noteOwnSeal(_ number: UInt64, _ topic: Topic) throws(Violation) {
        try expect(topic == openedTopic || topic == closedTopic, "the daemon wants to publish on \(topic)")
        let isFresh = !sessions.values.contains { $0.seals[number] != nil } && ownSeals[number] == nil
        try expect(isFresh && number > lastSeal, "seal \(number) was given before")
        lastSeal = number
        ownSealTopics[number] = topic
        _ = self.topic(topic, uid: configuration.ownIdentity.uid)
    }

    func openOwnSeal(_ number: UInt64, _ salt: [UInt8], _ keyCheck: [UInt8]) {
        guard let topic = ownSealTopics[number] else { return }
        let bounds = BatchBounds(length: 0, eventCount: 0)
        let seal = ModelSeal(
            number: number, topic: topic, salt: salt, uid: configuration.ownIdentity.uid, bounds: bounds)
        seal.keyCheck = keyCheck
        ownSeals[number] = seal
        mutedTopics.remove(topic)
    }

    func failOwnSeal(_ number: UInt64) {
        if let topic = ownSealTopics.removeValue(forKey: number) { mutedTopics.insert(topic) }
    }

    /// The daemon says these, and its batch of them is accepted.
    func acceptOwn(_ number: UInt64, _ bytes: SharedBytes, _ said: [Advisory]) throws(Violation) {
        guard let seal = ownSeals[number] else { throw Violation("the daemon publishes under seal \(number)") }
        try expect(!said.isEmpty, "the daemon says nothing")
        for advisory in said {
            try expect(topic(of: advisory) == seal.topic, "\(advisory) is said on \(seal.topic)")
            // Before it, only what nobody listened to was left out.
            let index = advisories.firstIndex { $0.advisory == advisory }
            guard let index else { throw Violation("the daemon says \(advisory), which didn't happen, or twice") }
            let skipped = advisories[..<index].filter { topic(of: $0.advisory) == seal.topic }
            try expect(!skipped.contains(where: \.isHeard), "\(advisory) is said, before it \(skipped) wasn't")
            advisories.remove(at: index)
            advisories.removeAll { other in skipped.contains { $0.advisory == other.advisory } }
        }
        seal.clientCounter += 1
        let batch = accept(bytes, count: said.count, seal)
        try owe(batch, batch.places, to: matches(seal.topic), waits: false)
        tally[.advised] += said.count
    }

    /// After a round nothing is left unsaid that somebody wanted to hear.
    func checkAdvised() throws(Violation) {
        let due = advisories.map(\.advisory).filter { !mutedTopics.contains(topic(of: $0)) }
        let unsaid = advisories.filter { $0.isHeard && due.contains($0.advisory) }
        try expect(unsaid.isEmpty, "not said, and somebody listens: \(unsaid)")
        advisories.removeAll { due.contains($0.advisory) }
    }
}
