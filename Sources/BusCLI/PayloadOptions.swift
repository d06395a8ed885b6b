// An event's payload and headers, as the command line gives them.

import ArgumentParser
import BusClient
import Glibc

struct PayloadOptions: ParsableArguments {
    @Option(help: ArgumentHelp("The payload is this file's content; - is standard input.", valueName: "file"))
    var file: String?

    @Option(name: .customLong("header"), help: ArgumentHelp("Add a header; may be repeated.", valueName: "name=value"))
    var headers: [HeaderArgument] = []

    @Option(help: ArgumentHelp("The event's id.", valueName: "uuid"))
    var id: Identifier?

    @Option(help: ArgumentHelp("The conversation it belongs to.", valueName: "uuid"))
    var correlation: Identifier?

    @Option(help: ArgumentHelp("The event that caused it.", valueName: "uuid"))
    var causation: Identifier?

    /// The event, with `data` as its payload unless a file is to be.
    func event(_ data: String?) throws -> OutgoingEvent {
        let payload = try file.map { try readWhole($0) } ?? Array((data ?? "").utf8)
        var event = OutgoingEvent(payload, headers: headers.map(\.header))
        event.id = id?.uuid
        event.correlation = correlation?.uuid
        event.causation = causation?.uuid
        return event
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
