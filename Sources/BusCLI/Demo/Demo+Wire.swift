// Section 2: what an event looks like between the daemon and a subscriber.

import BusClient
import Glibc

extension Demo {
    /// Decodes a delivery from the recorded bytes and looks for plaintext in all of them.
    func tellOfTheWire() async throws {
        try screen.section(
            "Sealed from process to process",
            "Subscriber 1 talks to the daemon through a relay that keeps every byte. Here is one of its events in "
                + "those bytes. The daemon routes by what stands before the body, and hands the body on as it came.")
        guard let tap else { return }
        let recording = tap.recording
        let printed = received(subscribers[0])
        let shown = try delivery(in: recording.toSubscriber, of: "host.memory.available", printed)
        show(shown)
        screen.line("opened       \"\(shown.plaintext)\"  as subscriber 1 printed it")
        screen.blank()
        try claimSecrecy(recording.toSubscriber + recording.toDaemon, printed)
    }

    /// A delivery found in the recording, and what its subscriber made of it.
    private struct FoundDelivery {
        let frameLength: Int
        let deliver: Deliver
        let batch: SealedBatch
        let topic: String
        let plaintext: String
    }

    /// The last delivery on `topic` whose event has been printed.
    private func delivery(in bytes: [UInt8], of topic: String, _ printed: [JSONValue]) throws -> FoundDelivery {
        let texts = Dictionary(
            printed.filter { $0["topic"]?.text == topic }.map { ($0["id"]?.text ?? "", $0["data"]?.text ?? "") },
            uniquingKeysWith: { first, _ in first })
        let limit = Limits.frameLengthMax(payloadLengthMax: Limits.payloadLengthCeiling)
        let decoder = FrameDecoder(from: .server, frameLengthMax: limit)
        let stream = SharedBytes(bytes)
        var position = 0
        var found: FoundDelivery?
        walk: while true {
            switch try decoder.next(in: stream, at: position) {
            case .incomplete: break walk
            case .skipped(let length): position += length
            case .frame(let frame, let length):
                position += length
                guard case .deliver(let deliver) = frame else { continue }
                let batch = try SealedBatch(deliver.batch)
                guard let text = texts[batch.header.firstID.description] else { continue }
                found = FoundDelivery(
                    frameLength: length, deliver: deliver, batch: batch, topic: topic, plaintext: text)
            }
        }
        guard let found else { throw Failure(.other, "demo: no delivery on \(topic) in \(bytes.count) recorded bytes") }
        return found
    }

    private func show(_ found: FoundDelivery) {
        let (deliver, header, body) = (found.deliver, found.batch.header, found.batch.body.array)
        let place = "delivery \(deliver.delivery), sequence \(deliver.firstSequence) of \(found.topic)"
        let nonce = "seal \(header.seal), counter \(header.counter)"
        screen.line("deliver      frame 0x2a, \(found.frameLength) bytes: \(place)")
        screen.line("batch        AES-256-GCM, \(nonce), \(header.eventCount) event")
        screen.line("event id     \(header.firstID)")
        for (index, row) in Text.hexDump(body, lineCount: 3).enumerated() {
            screen.line((index == 0 ? "sealed body  " : "             ") + screen.styled(row, .yellow))
        }
        if body.count > 48 {
            screen.remark("             … \(body.count) bytes, the last 16 are its authentication tag")
        }
    }

    /// No payload and no header occurs in the bytes. That the search finds what is there, the topic's name shows.
    private func claimSecrecy(_ bytes: [UInt8], _ printed: [JSONValue]) throws {
        // Shorter texts could occur by chance.
        let payloads = Set(printed.compactMap { $0["data"]?.text }.filter { $0.utf8.count >= 8 })
        let secrets = payloads.union([DemoPublisher.contentType.name, DemoPublisher.contentType.value])
        let found = secrets.filter { occurrences(of: $0, in: bytes) > 0 }
        try claim(
            found.isEmpty && !payloads.isEmpty,
            "Searched \(Text.grouped(bytes.count)) recorded bytes for \(payloads.count) different payloads, "
                + "and for the header \"\(DemoPublisher.contentType.name)\" that is in every event: found none of them."
        )
        let names = occurrences(of: "host.memory.available", in: bytes)
        try claim(
            names > 0, "The same search finds the topic's name \(names) times: names are for routing, not secret.")
    }

    private func occurrences(of text: String, in bytes: [UInt8]) -> Int {
        let wanted = Array(text.utf8)
        return bytes.withUnsafeBytes { all in
            var (count, position) = (0, 0)
            while let base = all.baseAddress, position + wanted.count <= all.count,
                let hit = memchr(base + position, CInt(wanted[0]), all.count - wanted.count - position + 1)
            {
                if memcmp(hit, wanted, wanted.count) == 0 { count += 1 }
                position = UnsafeRawPointer(hit) - base + 1
            }
            return count
        }
    }
}
