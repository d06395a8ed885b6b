// The demo's publisher, a process of its own: publishes this host's metrics and prints the receipts.

import ArgumentParser
import BusClient

struct DemoPublisher: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "publisher", abstract: "Publish this host's metrics.", shouldDisplay: false)

    /// In every event, and so in every sealed body: something to look for in the bytes on the wire.
    static let contentType = EventHeader("content-type", "text/plain; charset=utf-8")

    @Option var rounds: Int
    @Option var every: TimeSpan
    @OptionGroup var bus: BusOptions

    func run() async throws {
        var readings = HostReadings()
        try await BusConnection.with(bus.connectOptions("host metrics")) { connection in
            var due = ContinuousClock.now
            for _ in 0..<rounds {
                // First, so that there is an interval to give rates of.
                due += every.duration
                try await ContinuousClock().sleep(until: due)
                for reading in readings.take() {
                    let event = OutgoingEvent(reading.text, headers: [DemoPublisher.contentType])
                    show(try await connection.publish(event, to: reading.topic), reading.topic)
                }
            }
        }
    }

    private func show(_ receipt: PublishReceipt, _ topic: String) {
        var object = JSONObject()
        object.add("id", receipt.id.description)
        object.add("topic", topic)
        object.add("matches", receipt.liveMatches + receipt.durableMatches)
        Standard.output(object.closed + "\n")
    }
}
