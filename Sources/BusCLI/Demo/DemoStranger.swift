// Somebody else: the same program as another user, who asks the bus for its status.

import ArgumentParser
import Glibc

struct DemoStranger: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "stranger", abstract: "Become another user and ask for the status.", shouldDisplay: false)

    /// nobody: the kernel's overflow uid, owner of nothing.
    static let uid: uid_t = 65_534
    /// The exit status when the kernel doesn't let us be somebody else.
    static let isImpossible: Int32 = 71

    func run() async throws {
        guard setgroups(0, nil) == 0, setgid(DemoStranger.uid) == 0, setuid(DemoStranger.uid) == 0 else {
            Standard.error("can't become uid \(DemoStranger.uid): \(String(cString: strerror(errno)))\n")
            throw ExitCode(DemoStranger.isImpossible)
        }
        // LOCALBUS_SOCKET names the bus.
        try await StatusCommand.parse([]).run()
    }
}
