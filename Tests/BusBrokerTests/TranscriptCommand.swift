// A transcript's commands, word by word: a verb, what it is about, and `key=value` or flags for the rest. Requests are
// told apart by small numbers; 0 is none.

import BusSimulation
import BusWire

@testable import BusBroker

/// A verb, its words, its `key=number`, its `key=text` and its flags.
struct TranscriptCommand {
    typealias Fault = Transcript.Fault

    let verb: String
    /// What is no `key=value`: fixed words first, then flags.
    private(set) var words: [String] = []
    private(set) var options: [String: UInt64] = [:]
    private(set) var texts: [String: String] = [:]

    init(_ text: Substring) throws(Fault) {
        var parts = text.split(separator: " ").map(String.init)
        guard !parts.isEmpty else { throw Fault(description: "an empty command") }
        verb = parts.removeFirst()
        for part in parts {
            let sides = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            if sides.count < 2 {
                words.append(part)
            } else if let number = UInt64(sides[1]) {
                options[sides[0]] = number
            } else {
                texts[sides[0]] = sides[1]
            }
        }
    }

    func has(_ flag: String) -> Bool { words.contains(flag) }

    func word(_ index: Int) throws(Fault) -> String {
        guard words.indices.contains(index) else { throw Fault(description: "too few words") }
        return words[index]
    }

    func number(_ index: Int) throws(Fault) -> UInt64 {
        let word = try word(index)
        guard let number = UInt64(word.drop { $0 == "+" }) else { throw Fault(description: "\(word) is no number") }
        return number
    }

    private func number32(_ index: Int) throws(Fault) -> UInt32 {
        guard let number = UInt32(exactly: try number(index)) else { throw Fault(description: "a number too large") }
        return number
    }
}

// MARK: What peers send

extension TranscriptCommand {
    /// The frame that a command stands for.
    func frame(of peer: Peer) throws(Fault) -> Frame {
        switch verb {
        case "open-seal":
            let request = UInt32(options["request"] ?? 1)
            return .openSeal(
                OpenSeal(request: request, salt: peer.bench.salt(), topic: Array(try word(1).utf8)))
        case "close-seal": return .closeSeal(seal: try number(1))
        case "publish", "ask", "answer": return try publish(from: peer)
        case "cancel": return .cancelRequest(correlation: id(try number(1)))
        case "will": return .will(try will(of: peer))
        case "no-will": return .will(Will(request: 1, batch: .empty))
        case "subscribe": return .subscribe(try subscribe())
        case "unsubscribe": return .unsubscribe(subscription: try number32(1))
        case "credit":
            return .credit(Credit(subscription: try number32(1), events: try number(2), bytes: 1 << 30))
        case "ack": return .acknowledge(Acknowledge(subscription: try number32(1), delivery: try number(2)))
        case "goodbye": return .goodbye
        case "attend", "retry", "reject", "extend", "redrive":
            guard let frame = try durableFrame() else { throw Fault(description: "unknown command \(verb)") }
            return frame
        case "wrong-side": return .subscribed(subscription: 1)
        default: throw Fault(description: "unknown command \(verb)")
        }
    }

    private func request(_ number: UInt64) -> BusUUID { number == 0 ? .zero : id(number) }

    /// `publish`, with a key for each event where `keys=` says so; `ask` and `answer` with the requests' numbers behind the
    /// seal's.
    private func publish(from peer: Peer) throws(Fault) -> Frame {
        let correlations = words.dropFirst(2).compactMap { UInt64($0) }.map(request)
        guard verb == "publish" || !correlations.isEmpty else { throw Fault(description: "which request?") }
        var columns = BatchColumns()
        if !correlations.isEmpty { columns.correlation = .each(correlations) }
        let keys = options["keys"].map { [$0] } ?? (texts["keys"] ?? "").split(separator: ",").compactMap { UInt64($0) }
        columns.orderingKey = .shortest(keys, absent: 0)
        if verb == "ask" { columns.replyTo = .all(texts["reply-to"].map { Array($0.utf8) } ?? peer.replyTopic.bytes) }
        let frame = peer.batch(
            try number(1), events: UInt32(max(correlations.count, keys.count, Int(options["events"] ?? 1))),
            payload: Int(options["payload"] ?? 0), receipt: !has("no-receipt"), columns: columns
        ) {
            $0.hasBadColumns = has("bad-columns")
            $0.hasBadHeader = has("bad-header")
            if let counter = options["counter"] { $0.counter = counter }
        }
        return frame.with {
            if let number = options["number"] { $0.number = number }
            $0.isRequest = verb == "ask"
            $0.hasMore = has("more")
            $0.retains = has("retain")
            $0.isTombstone = has("tombstone")
        }
    }

    private func will(of peer: Peer) throws(Fault) -> Will {
        let batch = peer.sealed(
            try number(1), events: UInt32(options["events"] ?? 1), payload: Int(options["payload"] ?? 0))
        return Will(request: 1, retains: has("retain"), isTombstone: has("tombstone"), batch: batch)
    }

    private func subscribe() throws(Fault) -> Subscribe {
        let stall = options["stall"]
        let policies: [(String, OverflowPolicy)] = [
            ("drop-newest", .dropNewest), ("latest", .latest), ("disconnect", .disconnect),
        ]
        var mode: SubscribeMode = []
        if has("exclusive") { mode.insert(.exclusive) }
        if has("responds") { mode.insert(.responds) }
        if has("last") { mode.insert(.last) }
        return Subscribe(
            subscription: try number32(1), filter: Array(try word(2).utf8),
            overflow: policies.first { has($0.0) }?.1 ?? (stall == nil ? .dropOldest : .stall),
            stallMilliseconds: UInt32(stall ?? 0), queueEventCount: UInt32(options["queue"] ?? 0),
            creditEvents: options["credit"] ?? 1000, creditBytes: 1 << 30, group: Array((texts["group"] ?? "").utf8),
            mode: mode)
    }
}

// MARK: The broker

extension Bench {
    /// A broker that is what a `config` command says; an option that is none is a mistake in the story.
    convenience init(configuredBy command: TranscriptCommand) throws(Transcript.Fault) {
        var configuration = BrokerConfiguration()
        for (key, value) in command.options { try configuration.set(key, Int(clamping: value)) }
        for (key, value) in command.texts {
            guard let filter = try? TopicFilter(value) else { throw .init(description: "\(key)?") }
            switch key {
            case "keeps": configuration.topics.append(TopicDeclaration(filter, retains: true))
            case "durable": configuration.topics.append(Bench.declaration(value, []))
            default: throw .init(description: "\(key)?")
            }
        }
        let changed = configuration
        let announces = command.has("presence")
        let hasStore = changed.topics.contains(where: \.isDurable)
        self.init(store: hasStore ? MemoryStore(incarnation: BusUUID(high: 7, low: 9)) : nil) {
            $0.publishWindow = changed.publishWindow
            $0.roundLengthMax = changed.roundLengthMax
            $0.roundCountMax = changed.roundCountMax
            $0.quotas = changed.quotas
            $0.topics = changed.topics
            $0.announcesSessions = announces
        }
    }
}

extension BrokerConfiguration {
    fileprivate mutating func set(_ key: String, _ value: Int) throws(Transcript.Fault) {
        switch key {
        case "window": publishWindow = value
        case "round-bytes": roundLengthMax = value
        case "round-count": roundCountMax = value
        case "connections": quotas.connections = value
        case "subscriptions": quotas.subscriptions = value
        case "topics": quotas.topics = value
        case "queued-bytes": quotas.queuedLength = value
        case "retained-bytes": quotas.retainedLength = value
        case "outstanding": quotas.outstandingEvents = value
        case "requests": quotas.requests = value
        case "publish-rate": quotas.publishRate = value
        default: throw .init(description: "unknown limit \(key)")
        }
    }
}
