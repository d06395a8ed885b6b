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
              bus pub config.interval 30 --retain
              bus pub orders.new --durable --key customer-7 --file order.json
              bus pub shop.closes --at 18:00 now
              tail -f /var/log/syslog | bus pub logs.syslog --lines
            """,
        aliases: ["publish"])

    @Argument(help: "The topic.")
    var topic: String

    @Argument(help: "The payload.")
    var data: String?

    @Flag(help: "Each line of standard input is an event.")
    var lines = false

    @Flag(help: "Keep it as the topic's last value; with '' as payload, clear the last value.")
    var retain = false

    @Flag(help: "Fail unless the topic is durable: the receipt then says that it is on disk.")
    var durable = false

    @Option(
        help: ArgumentHelp("Events of the same key are handled one after the other.", valueName: "key"))
    var key: String?

    @Option(
        help: ArgumentHelp("Don't deliver it to a durable subscription after this time: 10m.", valueName: "time"))
    var expires: TimeSpan?

    @Flag(help: "Don't ask for a receipt.")
    var noReceipt = false

    @Flag(help: "Print the receipt as a JSON object.")
    var json = false

    @OptionGroup var due: DueArguments
    @OptionGroup var payload: PayloadOptions
    @OptionGroup var wills: WillOptions
    @OptionGroup var bus: BusOptions

    func validate() throws {
        let sources = [data != nil, payload.file != nil, lines].count { $0 }
        guard sources == 1 else {
            throw ValidationError("give the payload as one of: DATA ('' for none), --file FILE, --lines")
        }
        guard payload.id == nil || !lines else { throw ValidationError("--id names one event; --lines publishes many") }
        guard !due.isGiven || !lines && !noReceipt else {
            throw ValidationError(
                "--at and --after leave one event with the bus, and its receipt says so: not with --lines or --no-receipt"
            )
        }
        guard key.map({ !$0.isEmpty }) ?? true else { throw ValidationError("--key has a key, which isn't empty") }
        guard expires.map({ $0.duration > .zero }) ?? true else {
            throw ValidationError("--expires is a time from now, above 0")
        }
        guard wills.will == nil || lines else {
            throw ValidationError("--will is for who stays connected: with --lines, or on `bus sub` and `bus reply`")
        }
    }

    func run() async throws {
        if lines { return try await LinePublisher(self).run() }
        var event = try payload.event(data)
        event.retains = retain
        event.mustBeDurable = durable
        event.orderingKey = key
        event.expiresAfter = expires?.duration
        event.dueAt = due.time
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
                show(
                    try await connection.publish(finished, to: topic), cleared: finished.payload.isEmpty,
                    due: finished.dueAt)
            }
        } catch {
            await connection.close()
            throw error
        }
        await connection.close()
    }

    private func show(_ receipt: PublishReceipt, cleared: Bool, due: Int64?) {
        if receipt.isScheduled, !json {
            // Of one that was left here before, the time of then counts: `bus scheduled show` knows it.
            let when = receipt.isDuplicate ? "waits already" : "waits until \(timestamp(due ?? 0))"
            return Standard.output("\(receipt.id) \(topic) \(when), on disk\n")
        }
        guard json else {
            // What was published before went to nobody now; whom it was for then its first receipt said.
            let matches = counted(UInt64(receipt.liveMatches + receipt.durableMatches), "subscription")
            let published = receipt.isDuplicate ? "published before" : "for \(matches)"
            let stored = receipt.isDurable ? ", on disk" : ""
            let kept = retain ? (cleared ? ", last value cleared" : ", kept as last value") : ""
            return Standard.output(
                "\(receipt.id) \(topic) #\(receipt.firstSequence) \(published)\(stored)\(kept)\n")
        }
        var object = JSONObject()
        object.add("id", receipt.id.description)
        object.add("topic", topic)
        object.add("sequence", receipt.firstSequence)
        object.add("live_matches", receipt.liveMatches)
        object.add("durable_matches", receipt.durableMatches)
        object.add("durable", receipt.isDurable)
        object.add("duplicate", receipt.isDuplicate)
        if receipt.isScheduled {
            object.add("scheduled", true)
            if let due, !receipt.isDuplicate { object.add("due", timestamp(due)) }
        }
        if retain { object.add(cleared ? "cleared" : "retained", true) }
        Standard.output(object.closed + "\n")
    }
}
