// bus pub --lines: every line of standard input becomes an event. Lines are read in large pieces and given to the
// connection a piece at a time, so that a fast log is batched and a slow one isn't delayed.

import BusClient
import Glibc

struct LinePublisher {
    private let command: PubCommand

    init(_ command: PubCommand) { self.command = command }

    func run() async throws {
        let connection = try await command.bus.connect(
            "bus pub --lines", will: command.wills.lastWill, onNotice: { Standard.error("bus: \($0)\n") })
        let progress = Progress()
        do {
            let publisher = try await connection.publisher(
                for: command.topic, receipts: !command.noReceipt, retains: command.retain,
                mustBeDurable: command.durable)
            // A slow log's lines are known to have arrived at once, and not sent again if the daemon is gone then.
            await connection.run { _ in publisher.isPatient = false }
            let fault = try await publishAll(connection, publisher, progress)
            // What stands before a line that can't be an event has gone out, and is waited for as ever.
            let summary = try await connection.run { _ in try await publisher.finish() }
            progress.end()
            report(summary)
            if let fault { throw fault.failure }
            await connection.close()
        } catch {
            progress.end()
            await connection.close()
            throw error
        }
    }

    /// Publishes line after line, up to the end or the first that can't be an event.
    private func publishAll(
        _ connection: BusConnection, _ publisher: WindowedPublisher, _ progress: Progress
    ) async throws -> LineFault? {
        var lines = LineReader()
        while let piece = try lines.next() {
            do {
                try await publish(piece, connection, publisher)
            } catch let fault as LineFault {
                return fault
            }
            progress.show(publisher)
        }
        return nil
    }

    /// A line that can't be an event.
    private struct LineFault: Error {
        let line: Int
        let cause: BusError

        var failure: Failure {
            let failure = Failure(cause)
            let before = line == 1 ? "nothing is published" : "what stands before it is published"
            return Failure(failure.status, "line \(Text.grouped(line)): \(failure.message); \(before)")
        }
    }

    private func publish(
        _ piece: LineReader.Piece, _ connection: BusConnection, _ publisher: WindowedPublisher
    ) async throws {
        let headers = command.payload.headers.map(\.header)
        let correlation = command.payload.correlation?.uuid
        // What stands in a column of its own takes the long way; a plain line is never copied before its batch.
        let isPlain = command.key == nil && command.expires == nil
        try await connection.run { _ in
            for (index, range) in piece.lines.enumerated() {
                if !publisher.hasRoom { try await publisher.waitForRoom() }
                do {
                    try piece.bytes.withUnsafeBytes { bytes in
                        let line = UnsafeRawBufferPointer(rebasing: bytes[range])
                        guard isPlain else { return try publisher.publish(event(line, headers, correlation)) }
                        try publisher.publish(line, headers: headers, correlation: correlation)
                    }
                } catch BusError.tooLarge(let what) {
                    throw LineFault(line: piece.firstLine + index, cause: .tooLarge(what))
                }
            }
        }
    }

    private func event(
        _ line: UnsafeRawBufferPointer, _ headers: [EventHeader], _ correlation: BusUUID?
    ) -> OutgoingEvent {
        var event = OutgoingEvent(Array(line), headers: headers)
        event.correlation = correlation
        event.orderingKey = command.key
        event.expiresAfter = command.expires?.duration
        return event
    }

    private func report(_ summary: WindowedPublisher.Summary) {
        guard command.json else { return }
        var object = JSONObject()
        object.add("topic", command.topic)
        object.add("published", summary.confirmedCount)
        object.add("last_sequence", summary.lastSequence)
        Standard.output(object.closed + "\n")
    }

    /// A line on a terminal that says how far we are, at most ten times a second.
    private final class Progress {
        private let isShown = Standard.errorIsTerminal && isatty(0) == 0
        private var last: Int = 0
        private var wasShown = false

        func show(_ publisher: WindowedPublisher) {
            guard isShown else { return }
            var now = timespec()
            clock_gettime(CLOCK_MONOTONIC, &now)
            let tenth = now.tv_sec * 10 + now.tv_nsec / 100_000_000
            guard tenth != last else { return }
            last = tenth
            wasShown = true
            Standard.error("\r\(publisher.summary.confirmedCount) events published")
        }

        func end() { if wasShown { Standard.error("\r\u{1b}[K") } }
    }
}

/// Standard input, cut into pieces of whole lines.
private struct LineReader {
    /// Some lines, without their line ends.
    struct Piece: Sendable {
        let bytes: [UInt8]
        let lines: [Range<Int>]
        /// The number of the first one, counted from 1.
        let firstLine: Int
    }

    private var rest: [UInt8] = []
    private var isAtEnd = false
    private var lineCount = 0

    /// The next lines, as many as were there; nil at the end. A last line needs no line end.
    mutating func next() throws -> Piece? {
        while !isAtEnd {
            let before = rest.count
            rest.append(contentsOf: repeatElement(0, count: 256 << 10))
            let n = rest.withUnsafeMutableBytes { read(0, $0.baseAddress! + before, $0.count - before) }
            rest.removeSubrange((before + max(0, n))...)
            if n < 0, errno == EINTR { continue }
            guard n >= 0 else { throw Failure(.badData, "standard input: \(String(cString: strerror(errno)))") }
            isAtEnd = n == 0
            if let piece = cut() { return piece }
            guard rest.count <= Limits.payloadLengthCeiling else {
                throw Failure(.badData, "a line of more than \(Limits.payloadLengthCeiling) bytes on standard input")
            }
        }
        return nil
    }

    private mutating func cut() -> Piece? {
        var lines: [Range<Int>] = []
        var start = 0
        rest.withUnsafeBytes { bytes in
            while start < bytes.count,
                let found = memchr(bytes.baseAddress! + start, 10, bytes.count - start)
            {
                let end = UnsafeRawPointer(found) - bytes.baseAddress!
                lines.append(start..<end)
                start = end + 1
            }
        }
        if isAtEnd, start < rest.count {
            lines.append(start..<rest.count)
            start = rest.count
        }
        guard !lines.isEmpty else { return nil }
        let piece = Piece(bytes: rest, lines: lines, firstLine: lineCount + 1)
        lineCount += lines.count
        rest.removeSubrange(..<start)
        return piece
    }
}
