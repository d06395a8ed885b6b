// bus req: asks, and prints the answers.

import ArgumentParser
import BusClient

struct ReqCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "req",
        abstract: "Ask, and print the answer.",
        discussion: """
            Prints each answer's payload as a line. An error answer is printed on standard error, with status 1; with \
            nobody there to answer the status is 69 at once, without an answer in time it is 75.

              bus req inventory.count 'bolt M8'
              bus req 'discovery.all' --replies 100 --timeout 1s
              bus req jobs.render --file scene.json --timeout 10m --retry 3
            """,
        aliases: ["request"])

    @Argument(help: "The topic.")
    var topic: String

    @Argument(help: "The payload; none without.")
    var data: String?

    @Option(help: ArgumentHelp("How long to wait for an answer: 500ms, 3s, 10m.", valueName: "time"))
    var timeout = TimeSpan(argument: "5s")!

    @Option(help: ArgumentHelp("Take up to so many answers, until the time is over.", valueName: "n"))
    var replies = 1

    @Option(
        help: ArgumentHelp(
            "Ask so many times more where no answer came: the same event, so that it is done once.", valueName: "n"))
    var retry = 0

    @Flag(help: "Print one JSON object a line.")
    var json = false

    @Flag(help: "Print payloads as they are, without line ends.")
    var raw = false

    @OptionGroup var payload: PayloadOptions
    @OptionGroup var bus: BusOptions

    func validate() throws {
        guard data == nil || payload.file == nil else { throw ValidationError("DATA and --file exclude each other") }
        guard !(json && raw) else { throw ValidationError("--json and --raw exclude each other") }
        guard timeout.duration > .zero else { throw ValidationError("--timeout is more than 0") }
        guard replies >= 1 else { throw ValidationError("--replies is at least 1") }
        guard retry >= 0, retry <= 1_000_000 else { throw ValidationError("--retry is 0 to 1000000") }
    }

    func run() async throws {
        let event = try payload.event(data)
        let connection = try await bus.connect("bus req") { Standard.error("bus: \($0)\n") }
        do {
            var (answered, failure) = (0, String?.none)
            for try await reply in connection.requests(event, to: topic, options) {
                if let text = reply.failure { failure = failure ?? text } else { answered += 1 }
                show(reply)
            }
            await connection.close()
            if answered == 0, failure != nil { throw ExitCode(Failure.Status.other.rawValue) }
        } catch {
            await connection.close()
            throw error
        }
    }

    private var options: RequestOptions {
        var options = RequestOptions()
        options.timeout = timeout.duration
        options.replies = replies
        if retry > 0 { options.retry = RetryPolicy(attempts: retry + 1) }
        return options
    }

    private func show(_ reply: Reply) {
        if json {
            var object = EventText.object(reply.event)
            if let failure = reply.failure { object.add("failure", failure) }
            if reply.hasMore { object.add("more", true) }
            Standard.output(object.closed + "\n")
        } else if let failure = reply.failure {
            Standard.error("bus: \(topic) failed: \(failure)\n")
        } else {
            var bytes = reply.payload.array
            // What a command printed ends its last line itself.
            if !raw, bytes.last != UInt8(ascii: "\n") { bytes.append(UInt8(ascii: "\n")) }
            Standard.write(bytes, to: 1)
        }
    }
}
