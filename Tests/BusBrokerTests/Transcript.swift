// A story as text: commands at the margin, each one round, and indented below each what the broker did. Several
// commands of one round are joined by ` ; `. Lines that begin with # are for the reader.

import BusSimulation
import BusWire

@testable import BusBroker

/// Runs a transcript's commands and writes it anew.
struct Transcript {
    struct Fault: Error, CustomStringConvertible {
        let description: String
    }

    private var bench = Bench()
    private var peers: [UInt64: Peer] = [:]
    private var output: [String] = []

    /// The transcript as it is now: comments and commands as they were, effects as they are.
    static func rerun(_ text: String) throws(Fault) -> String {
        var transcript = Transcript()
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) where !line.hasPrefix("    ") {
            transcript.output.append(String(line))
            guard !line.isEmpty, !line.hasPrefix("#") else { continue }
            do throws(Fault) {
                try transcript.run(line)
            } catch {
                throw Fault(description: "\(line): \(error)")
            }
        }
        return transcript.output.joined(separator: "\n")
    }

    private mutating func run(_ line: Substring) throws(Fault) {
        for part in line.split(separator: ";") {
            let command = try Command(part)
            if command.verb == "config" { try configure(command) } else { try handle(command) }
        }
        bench.endRound()
        for effect in bench.drain() { output.append("    " + describe(effect)) }
    }

    private mutating func configure(_ command: Command) throws(Fault) {
        let bench = Bench {
            if let window = command.options["window"] { $0.publishWindow = Int(window) }
            if let bytes = command.options["round-bytes"] { $0.roundLengthMax = Int(bytes) }
            if let count = command.options["round-count"] { $0.roundCountMax = Int(count) }
            if let count = command.options["connections"] { $0.quotas.connections = Int(count) }
        }
        self.bench = bench
    }

    private mutating func handle(_ command: Command) throws(Fault) {
        switch command.verb {
        case "tick":
            let milliseconds = try command.number(0)
            bench.now.monotonic += milliseconds * 1_000_000
            bench.now.wall += Int64(milliseconds) * 1000
        case "shutdown": bench.broker.handle(.shutdown, at: bench.now)
        default:
            let id = try command.number(0)
            let peer = peers[id] ?? Peer(bench, SessionID(id))
            peers[id] = peer
            bench.broker.handle(try input(command, peer), at: bench.now)
        }
    }

    private func input(_ command: Command, _ peer: Peer) throws(Fault) -> Input {
        switch command.verb {
        case "connect":
            let uid = UInt32(command.options["uid"] ?? 1000)
            return .connected(peer.id, PeerIdentity(uid: uid, gid: uid))
        case "hello": return .authenticated(peer.id, name: "peer-\(peer.id)")
        case "disconnect": return .disconnected(peer.id)
        case "drained": return .drained(peer.id)
        case "blocked": return .blocked(peer.id)
        case "garbage": return .malformed(peer.id, .unknownFrame(type: 0xee))
        default: return .received(peer.id, try frame(command, peer))
        }
    }

    private func frame(_ command: Command, _ peer: Peer) throws(Fault) -> Frame {
        switch command.verb {
        case "open-seal":
            let topic = Array(try command.word(1).utf8)
            let request = UInt32(command.options["request"] ?? 1)
            return .openSeal(OpenSeal(request: request, salt: bench.salt(), topic: topic))
        case "close-seal": return .closeSeal(seal: try command.number(1))
        case "publish": return try publish(command, peer)
        case "subscribe":
            let stall = command.options["stall"]
            return .subscribe(
                Subscribe(
                    subscription: UInt32(try command.number(1)), filter: Array(try command.word(2).utf8),
                    overflow: stall == nil ? .dropOldest : .stall, stallMilliseconds: UInt32(stall ?? 0),
                    queueEventCount: UInt32(command.options["queue"] ?? 0),
                    creditEvents: command.options["credit"] ?? 1000, creditBytes: 1 << 30))
        case "unsubscribe": return .unsubscribe(subscription: UInt32(try command.number(1)))
        case "credit":
            return .credit(
                Credit(subscription: UInt32(try command.number(1)), events: try command.number(2), bytes: 1 << 30))
        case "ack":
            return .acknowledge(
                Acknowledge(subscription: UInt32(try command.number(1)), delivery: try command.number(2)))
        case "goodbye": return .goodbye
        case "wrong-side": return .subscribed(subscription: 1)
        default: throw Fault(description: "unknown command \(command.verb)")
        }
    }

    private func publish(_ command: Command, _ peer: Peer) throws(Fault) -> Frame {
        var frame = peer.batch(
            try command.number(1), events: UInt32(command.options["events"] ?? 1),
            payload: Int(command.options["payload"] ?? 0), receipt: !command.flags.contains("no-receipt")
        ) {
            $0.hasBadColumns = command.flags.contains("bad-columns")
            $0.hasBadHeader = command.flags.contains("bad-header")
            if let counter = command.options["counter"] { $0.counter = counter }
        }
        if let number = command.options["number"], case .publish(var publish) = frame {
            publish.number = number
            frame = .publish(publish)
        }
        return frame
    }
}

/// A verb, its words, its `key=number` and its flags.
private struct Command {
    let verb: String
    private(set) var words: [String] = []
    private(set) var options: [String: UInt64] = [:]

    init(_ text: Substring) throws(Transcript.Fault) {
        var parts = text.split(separator: " ").map(String.init)
        guard !parts.isEmpty else { throw Transcript.Fault(description: "an empty command") }
        verb = parts.removeFirst()
        for part in parts {
            let sides = part.split(separator: "=", maxSplits: 1)
            if sides.count == 2, let number = UInt64(sides[1]) {
                options[String(sides[0])] = number
            } else {
                words.append(part)
            }
        }
    }

    /// What stands behind the fixed words.
    var flags: [String] { words }

    func word(_ index: Int) throws(Transcript.Fault) -> String {
        guard words.indices.contains(index) else { throw Transcript.Fault(description: "too few words") }
        return words[index]
    }

    func number(_ index: Int) throws(Transcript.Fault) -> UInt64 {
        let word = try word(index)
        guard let number = UInt64(word.drop { $0 == "+" }) else {
            throw Transcript.Fault(description: "\(word) is no number")
        }
        return number
    }
}

/// An effect in one line: whom it concerns, what it is, what matters of it.
private func describe(_ effect: Effect) -> String {
    switch effect {
    case .send(let id, let frame): "\(id) < \(describe(frame))"
    case .openSeal(let order):
        "\(order.session) open-seal request=\(order.request) seal=\(order.seal) topic=\(order.topic) epoch=\(order.epoch)"
    case .grant(let id, let topic, let epoch): "\(id) grant topic=\(topic) epoch=\(epoch)"
    case .close(let id, let reason, _): "\(id) close \(reason)"
    case .openOwnSeal(let seal, let topic, let epoch): "daemon open-seal seal=\(seal) topic=\(topic) epoch=\(epoch)"
    case .advise(let seal, let advisories): "daemon advise seal=\(seal) count=\(advisories.count)"
    case .stopped: "stopped"
    }
}

private func describe(_ frame: Frame) -> String {
    func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }
    switch frame {
    case .deliver(let deliver):
        let count = (try? SealedBatch(deliver.batch))?.header.eventCount ?? 0
        let last = deliver.firstSequence + UInt64(max(count, 1)) - 1
        return "deliver \(deliver.subscription) delivery=\(deliver.delivery) sequences=\(deliver.firstSequence)-\(last)"
    case .gap(let gap):
        return "gap \(gap.subscription) \(gap.reason) count=\(gap.count.map(String.init) ?? "?") "
            + "topic=\(text(gap.topic)) sequences=\(gap.firstSequence)-\(gap.lastSequence)"
    case .receipts(let told):
        let receipts = told.receipts.map {
            " \($0.number):\($0.firstSequence)-\($0.firstSequence + UInt64($0.eventCount) - 1)/\($0.liveMatches)"
        }
        return "receipts progress=\(told.progress)" + receipts.joined()
    case .announce(let announcement):
        return "announce seal=\(announcement.seal) topic=\(text(announcement.topic)) uid=\(announcement.uid) "
            + "publisher=\(announcement.publisher)" + (announcement.forgetsEarlier ? " forgets-earlier" : "")
    case .error(let error):
        let type = FrameType(rawValue: error.inReplyTo)?.name ?? "none"
        let kind = error.isFatal ? "fatal" : "error"
        return "\(kind) \(error.reason) of=\(type) request=\(error.request): \(error.message)"
    case .subscribed(let number): return "subscribed \(number)"
    case .unsubscribed(let end):
        return "unsubscribed \(end.subscription) delivered=\(end.deliveredCount) missed=\(end.missedCount)"
    case .closing(let reason, let message): return "closing \(reason): \(message)"
    default: return frame.type.name
    }
}
