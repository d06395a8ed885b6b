// bus: the command line tool. One file a subcommand; errors become one line and an exit status here.

import ArgumentParser
import BusClient
import Glibc

/// The tool and its subcommands.
struct Bus: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bus",
        abstract: "Publish, subscribe and look at a LocalBus.",
        discussion: """
            Which bus: --socket, --bus, --user or --system; else LOCALBUS_SOCKET; else the system bus for a system \
            user, the user's bus for everybody else. Put filters in single quotes: 'orders.>'.

            Exit status: 0 done, 1 other, 64 usage, 65 bad data, 68 unknown name, 69 no daemon or nobody there, \
            75 timeout, quota or full, 77 denied, 78 configuration.
            """,
        version: "0.1.0",
        subcommands: [
            PubCommand.self, SubCommand.self, ReqCommand.self, ReplyCommand.self, StatusCommand.self, SessionList.self,
            SessionCommand.self, TopicCommand.self, SubscriptionCommand.self, DeadCommand.self,
            ScheduledCommand.self, TraceCommand.self,
            UserCommand.self, AdminCommand.self, RunCommand.self, DemoCommand.self, BenchCommand.self,
        ])
}

@main
enum Main {
    static func main() async {
        // A reader that is gone ends us as it ends every filter.
        signal(SIGPIPE, SIG_DFL)
        // Who started us may ignore it: then the kernel drops the exit status of every command we start.
        signal(SIGCHLD, SIG_DFL)
        do {
            try HelpWords.check(CommandAfterTerminator.ownArguments)
            var command = try Bus.parseAsRoot(CommandAfterTerminator.ownArguments)
            if var command = command as? any AsyncParsableCommand {
                try await command.run()
            } else {
                try command.run()
            }
        } catch let failure as Failure {
            failure.exit()
        } catch let error as BusError {
            Failure(error).exit()
        } catch {
            Bus.exit(withError: error)
        }
    }
}
