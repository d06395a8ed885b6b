// Asking: the conversations of a connection, the reply topic that their answers come on, and the circuits.
//
// The reply topic is the session's own, `$reply.<session>`: it is subscribed to at the first request, and again after a
// reconnect, under the new session's number. The subscription is written before the request that needs it, so nobody
// waits for its confirmation.

import BusTransport
import BusWire

/// The requests of a connection. Confined to its reactor.
final class Requesting {
    private unowned let core: ClientCore
    private var open: [BusUUID: Conversation] = [:]
    private var circuits = Circuits()
    private var subscription: SubscriptionState?
    /// Whether anything was ever asked: then the reply topic is subscribed to again after a reconnect.
    private var isUsed = false
    /// Where answers go on this connection.
    private(set) var replyTopic: [UInt8] = []

    init(_ core: ClientCore) { self.core = core }

    /// How many requests wait for answers.
    var openCount: Int { open.count }

    /// Makes a request.
    ///
    /// - Throws: `BusError.circuitOpen`, `.invalid`.
    func ask(
        _ event: OutgoingEvent, _ topic: Topic, _ options: RequestOptions, endsAtFirst: Bool
    ) throws(BusError) -> Conversation {
        guard !event.retains else { throw .invalid("a request can't be its topic's last value") }
        let conversation = Conversation(core, event, topic, options, endsAtFirst: endsAtFirst)
        guard open[conversation.correlation] == nil else {
            throw .invalid("a request with this correlation is open")
        }
        if options.circuit != nil, let until = circuitRefusal(topic) {
            throw circuitOpen(topic, until, at: .now())
        }
        isUsed = true
        subscribe()
        open[conversation.correlation] = conversation
        conversation.attempt()
        return conversation
    }

    func remove(_ conversation: Conversation) {
        if open[conversation.correlation] === conversation { open[conversation.correlation] = nil }
    }

    /// Whether no other request is open under this correlation, which a late word would cancel.
    func isFree(_ correlation: BusUUID, for conversation: Conversation) -> Bool {
        open[correlation].map { $0 === conversation } ?? true
    }

    // MARK: Answers

    private func subscribe() {
        guard core.isOpen, subscription == nil, let welcome = core.welcome else { return }
        let topic = Topic.reply(ofSession: welcome.session)
        do {
            let filter = try TopicFilter(bytes: topic.bytes)
            let state = try SubscriptionState(
                core, filter: filter, options: SubscribeOptions(),
                taker: .handler { [unowned self] in take($0) })
            state.onEnd = { [unowned self] error in subscriptionEnded(error) }
            subscription = state
            replyTopic = topic.bytes
            core.subscribing.add(state)
        } catch {
            preconditionFailure("a reply topic is a filter, and its options are the defaults: \(error)")
        }
    }

    private func take(_ arrival: BatchArrival) {
        switch arrival {
        case .batch(let batch):
            for event in batch { open[event.correlation]?.answered(Reply(event)) }
        case .missed(let missed): for conversation in Array(open.values) { conversation.missed(missed) }
        case .caughtUp: break
        }
    }

    func take(_ unanswered: Unanswered) { open[unanswered.correlation]?.unanswered(unanswered.reason) }

    /// Without it no answer can come. The next request tries again.
    private func subscriptionEnded(_ error: BusError?) {
        subscription = nil
        fail(error ?? .disconnected("the daemon ended the subscription that answers come on"))
    }

    // MARK: Circuits

    /// Until when a topic's circuit refuses requests that heed it; nil if it doesn't. Whose failures opened it has said
    /// for how long.
    func circuitRefusal(_ topic: Topic) -> MonotonicInstant? {
        circuits.refusal(topic, at: .now())
    }

    func circuitOpen(_ topic: Topic, _ until: MonotonicInstant, at now: MonotonicInstant) -> BusError {
        .circuitOpen(topic, until: ContinuousClock.now + (until - now))
    }

    func note(_ outcome: Circuits.Outcome, _ topic: Topic, _ policy: CircuitPolicy) {
        guard let change = circuits.note(outcome, topic, policy, at: .now()) else { return }
        core.write(.circuit(Circuit(change, topic: topic.bytes)))
    }

    // MARK: Connections come and go

    func connectionLost(_ why: String) {
        if let subscription { core.subscribing.forget(subscription) }
        subscription = nil
        for conversation in Array(open.values) { conversation.connectionLost(why) }
    }

    func connectionRestored() {
        if isUsed { subscribe() }
        for topic in circuits.open { core.write(.circuit(Circuit(.open, topic: topic.bytes))) }
    }

    func fail(_ error: BusError) {
        for conversation in Array(open.values) { conversation.end(error) }
    }
}
