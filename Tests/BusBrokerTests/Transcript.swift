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
            let command = try TranscriptCommand(part)
            if command.verb == "config" { try configure(command) } else { try handle(command) }
        }
        bench.endRound()
        for effect in bench.drain() { output.append("    " + effect.inWords) }
    }

    /// A broker of other limits; before anybody is there.
    private mutating func configure(_ command: TranscriptCommand) throws(Fault) {
        guard peers.isEmpty else { throw Fault(description: "who is there already would stay with the old broker") }
        bench = try Bench(configuredBy: command)
    }

    private mutating func handle(_ command: TranscriptCommand) throws(Fault) {
        switch command.verb {
        case "tick":
            let milliseconds = try command.number(0)
            bench.now.monotonic += milliseconds * 1_000_000
            bench.now.wall += Int64(milliseconds) * 1000
        case "commit": bench.commitInRound()
        case "crash":
            bench = bench.crashed(as: bench.broker.configuration)
            peers = [:]
        case "shutdown": bench.broker.handle(.shutdown, at: bench.now)
        default:
            let id = try command.number(0)
            let peer = peers[id] ?? Peer(bench, SessionID(id))
            peers[id] = peer
            bench.broker.handle(try input(command, peer), at: bench.now)
        }
    }

    private func input(_ command: TranscriptCommand, _ peer: Peer) throws(Fault) -> Input {
        switch command.verb {
        case "connect":
            let uid = UInt32(command.options["uid"] ?? 1000)
            return .connected(peer.id, PeerIdentity(uid: uid, gid: uid))
        case "hello": return .authenticated(peer.id, name: "peer-\(peer.id)")
        case "disconnect": return .disconnected(peer.id)
        case "drained": return .drained(peer.id)
        case "blocked": return .blocked(peer.id)
        case "garbage": return .malformed(peer.id, .unknownFrame(type: 0xee))
        default: return .received(peer.id, try command.frame(of: peer))
        }
    }
}
