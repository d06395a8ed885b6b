// How to take part in a durable subscription.

public import BusWire

/// A durable subscription: the daemon keeps its name, where it stands and what isn't settled, whoever comes and goes.
public struct DurableOptions: Sendable {
    /// How events are settled.
    public enum Acknowledgement: Sendable {
        /// Acknowledged when the next arrival is asked for, or the handler returned.
        case automatic
        /// By `Event.acknowledge`, `retry`, `reject`, or `Subscription.acknowledge`.
        case manual
        /// What was sent counts as acknowledged: at most once.
        case none
    }

    /// Its name: one token of a topic, at most 64 bytes.
    public var name: String
    /// Whether several sessions share it: each event goes to one of them.
    public var isShared = false
    /// Whether several sessions may attend it: the oldest gets everything, the others stand by.
    public var isExclusive = false
    /// How events are settled.
    public var acknowledgement = Acknowledgement.automatic
    /// Where it begins, if there is none of this name yet; nil: with what comes from then on. For one that exists it is
    /// refused, `name-taken`: `Operation.seekSubscription` moves that.
    public var start: Start?
    /// What it is made with, if there is none of this name yet. One that exists must have them, or it is refused,
    /// `name-taken`: `Operation.alterSubscription` changes that.
    public var settings: [Setting] = []

    /// The durable subscription of this name, for this session alone.
    public init(name: String) { self.name = name }
}

extension SubscribeOptions {
    /// - Throws: `BusError.invalid` for what excludes one another.
    func check(isResponder: Bool) throws(BusError) {
        let begins = start != .new || beginsWithLast
        if let durable {
            guard group == nil else {
                throw .invalid("a durable subscription is no group: it is shared with `durable.isShared`")
            }
            guard !begins else {
                throw .invalid("a durable subscription begins where `durable.start` says")
            }
            guard !durable.isShared || !durable.isExclusive else {
                throw .invalid("a durable subscription is shared or exclusive, not both")
            }
            guard !isResponder else {
                throw .invalid("a responder answers what is asked now: it can't be a durable subscription")
            }
            return
        }
        guard start == .new || !beginsWithLast else {
            throw .invalid("a subscription begins with last values or with what is stored, not both")
        }
        guard group == nil || !begins else {
            throw .invalid("a group's members can't begin with what is kept: a durable subscription can")
        }
        guard group != nil || !isExclusive else {
            throw .invalid("only a group's or a durable subscription can be exclusive")
        }
    }
}
