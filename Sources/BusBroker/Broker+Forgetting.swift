// Topics without publisher and last value are forgotten after a while: what nobody uses costs nothing. One of the same
// name that comes later is another life of it, and announcements say so.

import BusWire
import DequeModule

extension Broker {
    /// Takes note that a topic may have become idle.
    func noteIdle(_ topic: TopicState) {
        guard topic.isIdle, topics[topic.name] === topic else { return }
        topic.idleSince = now.monotonic
        guard !topic.isListedIdle else { return }
        topic.isListedIdle = true
        idleTopics.append((now.monotonic + configuration.topicIdleTime, topic))
    }

    /// Forgets topics whose time is over. One that was used meanwhile stands at the end again.
    func forgetIdleTopics() {
        while let first = idleTopics.first, first.deadline <= now.monotonic {
            idleTopics.removeFirst()
            let topic = first.topic
            topic.isListedIdle = false
            guard topic.isIdle, topics[topic.name] === topic else { continue }
            let deadline = topic.idleSince + configuration.topicIdleTime
            guard deadline > now.monotonic else {
                forget(topic)
                continue
            }
            topic.isListedIdle = true
            // Others may be due before it: the list is in order of being looked at, not of being forgotten.
            idleTopics.append((max(deadline, idleTopics.last?.deadline ?? 0), topic))
        }
    }

    func forget(_ topic: TopicState) {
        guard topics[topic.name] === topic else { return }
        topics[topic.name] = nil
        topic.account.topicCount -= 1
        totals.topicsForgotten += 1
        forget(topic.account)
    }
}
