// A daemon's beginning: what the store held becomes topics, last values and subscriptions, before anybody connects.

import BusWire

extension Broker {
    /// Takes up what the store held. Called once, before the first input.
    ///
    /// - Parameter state: what was read.
    public func recover(_ state: StoredState, at now: Moment) {
        // A clock that wasn't set yet says less than what was stored already knows.
        let isSet = now.wall >= DueClock.yearOfMaking
        begin(at: now, age: isSet ? now.wall : state.topics.reduce(now.wall) { max($0, $1.lastTime) })
        let storage = Storage(state, at: now)
        self.storage = storage
        for (filter, settings) in state.declarations {
            // What a former program could say and this one can't is left as it is, and shown.
            guard
                let declaration = try? TopicDeclaration(
                    filter, settings: settings, defaults: configuration.topicDefaults)
            else { continue }
            storage.declared.append(declaration)
        }
        for topic in state.topics { recover(topic, storage) }
        recover(state.scheduled, storage)
        for stored in state.subscriptions {
            let values =
                (try? DurableSettings(Setting.merge(configuration.subscriptionDefaults, stored.settings))) ?? .init()
            storage.nextSubscription = max(storage.nextSubscription, stored.number + 1)
            var stored = stored
            // Never ahead of what there is, or it would wait for what is given to others.
            stored.cursor.next = min(stored.cursor.next, state.nextPosition)
            stored.attended = max(stored.attended, 0)
            // What was handed out before the daemon went may have been handled, and not told.
            let subscription = add(stored, values, repeatedBefore: state.nextPosition)
            missedBefore(subscription)
            subscription.durable?.deadCount = state.deadCounts[stored.number] ?? 0
        }
        for usage in state.usage { holds(usage.uid, usage.bytes) }
        storage.began = now.monotonic
        scheduleSweep()
    }

    private func recover(_ stored: StoredTopic, _ storage: Storage) {
        storage.nextTopic = max(storage.nextTopic, stored.number + 1)
        let topic = makeTopic(stored.name, account(of: configuration.ownIdentity.uid), stored)
        storage.topics[stored.number] = topic
        if let retained = stored.retained {
            let batch = AcceptedBatch(retained.batch, seal(retained.seal, topic))
            retain(batch, isTombstone: false, account(of: retained.seal.publisher.uid), isStored: true)
        }
    }
}
