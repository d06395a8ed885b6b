// bus reply: answers requests, with a constant or with what a command prints.

import ArgumentParser
import BusClient
import BusTransport

struct ReplyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "reply",
        abstract: "Answer requests with a text, or with what a command prints.",
        discussion: """
            The command gets the request's payload on standard input; what it prints is the answer. One that fails \
            gives an error answer with the beginning of its standard error. When nobody waits for the answer any \
            more it is ended: SIGTERM, and two seconds later SIGKILL.

              bus reply time.now --exec -- date
              bus reply 'inventory.*' --group inventory --parallel 4 --exec -- ./look-up
              bus reply health.ready yes
            """)

    @Argument(help: "The filter: * is one token, a final > is one or more.")
    var filter: String

    @Argument(help: "The answer, always the same.")
    var data: String?

    @Flag(help: "Answer with what the command after -- prints; the request's payload is its standard input.")
    var exec = false

    @OptionGroup var shared: GroupOptions

    @Option(help: ArgumentHelp("With --exec: so many commands at once.", valueName: "n"))
    var parallel = 1

    @Option(
        help: ArgumentHelp("With --exec: end a command after this time; the answer is an error.", valueName: "time"))
    var execTimeout: TimeSpan?

    @Option(help: ArgumentHelp("End after so many requests; what was begun by then is answered.", valueName: "n"))
    var count: UInt64?

    @Flag(help: "Print a JSON object for each request: the event, and what became of it.")
    var json = false

    @OptionGroup var wills: WillOptions
    @OptionGroup var bus: BusOptions

    /// The command for --exec.
    var command: [String] { CommandAfterTerminator.argv }

    func validate() throws {
        guard exec == !command.isEmpty else {
            throw ValidationError(exec ? "--exec needs a command after --" : "a command after -- needs --exec")
        }
        guard exec != (data != nil) else {
            throw ValidationError("say the answer as one of: DATA ('' for none), --exec -- COMMAND")
        }
        guard exec || (parallel == 1 && execTimeout == nil) else {
            throw ValidationError("--parallel and --exec-timeout are for --exec")
        }
        guard parallel >= 1, parallel <= 256 else { throw ValidationError("--parallel is 1 to 256") }
        guard count != 0 else { throw ValidationError("--count is at least 1") }
    }

    func run() async throws {
        if exec { try ChildProcess.check(command[0]) }
        CommandGroups.endWithUs()
        let reactor = try Reactor.started("bus reply")
        let answering = Answering(self, on: reactor)
        let connection = try await bus.connect("bus reply", reactor: reactor, will: wills.lastWill) { notice in
            switch notice {
            case .ended, .subscriptionEnded: Task { await answering.end("\(notice)") }
            default: Standard.error("bus: \(notice)\n")
            }
        }
        do {
            let responder = try await connection.reply(to: filter, options) { try await answering.answer($0) }
            try await answering.waitUntilDone()
            await responder.finish()
            await connection.drain()
        } catch {
            await connection.close()
            throw error
        }
        await connection.close()
    }

    private var options: SubscribeOptions {
        var options = SubscribeOptions()
        options.group = shared.group
        options.parallel = exec ? parallel : 1
        // What waits here no other member of the group gets, and a command takes its time.
        if exec { options.creditEvents = UInt64(parallel) }
        return options
    }
}
