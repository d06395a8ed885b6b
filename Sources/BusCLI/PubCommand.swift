// bus pub: publishes one event, or each line of standard input.

import ArgumentParser
import BusClient
import Glibc
import Synchronization

struct PubCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pub",
        abstract: "Publish an event, or each line of standard input.",
        discussion: """
            Prints the receipt: id, position, and how many subscriptions the event was for.

              bus pub sensors.kitchen.temperature 21.5
              bus pub photos.new --file cat.jpg --header content-type=image/jpeg
              tail -f /var/log/syslog | bus pub logs.syslog --lines
            """,
        aliases: ["publish"])

    @Argument(help: "The topic.")
    var topic: String

    @Argument(help: "The payload.")
    var data: String?

    @Option(help: ArgumentHelp("The payload is this file's content; - is standard input.", valueName: "file"))
    var file: String?

    @Flag(help: "Each line of standard input is an event.")
    var lines = false

    @Option(name: .customLong("header"), help: ArgumentHelp("Add a header; may be repeated.", valueName: "name=value"))
    var headers: [HeaderArgument] = []

    @Option(help: ArgumentHelp("The event's id.", valueName: "uuid"))
    var id: Identifier?

    @Option(help: ArgumentHelp("The conversation it belongs to.", valueName: "uuid"))
    var correlation: Identifier?

    @Flag(help: "Don't ask for a receipt.")
    var noReceipt = false

    @Flag(help: "Print the receipt as a JSON object.")
    var json = false

    @OptionGroup var bus: BusOptions

    func validate() throws {
        let sources = [data != nil, file != nil, lines].count { $0 }
        guard sources == 1 else {
            throw ValidationError("give the payload as one of: DATA ('' for none), --file FILE, --lines")
        }
        guard id == nil || !lines else { throw ValidationError("--id names one event; --lines publishes many") }
    }

    func run() async throws {
        if lines { return try await LinePublisher(self).run() }
        var event = OutgoingEvent(try payload(), headers: headers.map(\.header))
        event.id = id?.uuid
        event.correlation = correlation?.uuid
        let finished = event
        let refusal = Mutex<BusError?>(nil)
        let connection = try await bus.connect("bus pub") { notice in
            if case .refused(_, _, let error) = notice {
                refusal.withLock { $0 = error }
            } else {
                Standard.error("bus: \(notice)\n")
            }
        }
        do {
            if noReceipt {
                _ = try await connection.publishWithoutReceipt(finished, to: topic)
                await connection.drain()
                if let error = refusal.withLock({ $0 }) { throw error }
            } else {
                show(try await connection.publish(finished, to: topic))
            }
        } catch {
            await connection.close()
            throw error
        }
        await connection.close()
    }

    private func payload() throws -> [UInt8] {
        if let data { return Array(data.utf8) }
        guard let file else { return [] }
        return try readWhole(file)
    }

    private func show(_ receipt: PublishReceipt) {
        guard json else {
            let matches = receipt.liveMatches + receipt.durableMatches
            let plural = matches == 1 ? "subscription" : "subscriptions"
            return Standard.output("\(receipt.id) \(topic) #\(receipt.firstSequence) for \(matches) \(plural)\n")
        }
        var object = JSONObject()
        object.add("id", receipt.id.description)
        object.add("topic", topic)
        object.add("sequence", receipt.firstSequence)
        object.add("live_matches", receipt.liveMatches)
        object.add("durable_matches", receipt.durableMatches)
        object.add("durable", receipt.isDurable)
        object.add("duplicate", receipt.isDuplicate)
        Standard.output(object.closed + "\n")
    }
}

/// A file's bytes, or standard input's, as far as any bus takes them.
private func readWhole(_ path: String) throws -> [UInt8] {
    let descriptor = path == "-" ? 0 : open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw Failure(.badData, "\(path): \(String(cString: strerror(errno)))") }
    defer { if descriptor > 0 { close(descriptor) } }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 64 << 10)
    while true {
        let n = read(descriptor, &chunk, chunk.count)
        if n < 0, errno == EINTR { continue }
        guard n >= 0 else { throw Failure(.badData, "\(path): \(String(cString: strerror(errno)))") }
        if n == 0 { return bytes }
        bytes.append(contentsOf: chunk[..<n])
        guard bytes.count <= Limits.payloadLengthCeiling else {
            let limit = Limits.payloadLengthCeiling
            throw Failure(.badData, "\(path) has more than \(limit) bytes, which no bus takes as one event")
        }
    }
}
