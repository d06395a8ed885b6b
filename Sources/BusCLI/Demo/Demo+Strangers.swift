// Section 5: what another user gets.

import Glibc

extension Demo {
    /// Lets a process of another uid knock.
    func tellOfStrangers() async throws {
        let uid = DemoStranger.uid
        try screen.section(
            "Another user is refused",
            "The socket may be reached by anybody; who may use the bus is decided by the uid that the kernel gives. A "
                + "process of uid \(uid) (nobody) asks for the status.")
        guard geteuid() == 0 else {
            screen.remark("Skipped: only root can start a process of another user. To see it, run this demo as root.")
            return
        }
        let stranger = try start("the stranger", ["demo", "stranger"])
        try await wait("the refusal", within: .seconds(10)) { stranger.status != nil }
        guard stranger.status != DemoStranger.isImpossible else {
            return screen.remark("Skipped: \(stranger.complaints.joined(separator: " "))")
        }
        screen.command("bus status", "as uid \(uid)")
        for line in stranger.complaints + stranger.output.lines {
            for part in Text.wrapped(line, to: 87) { screen.line(part) }
        }
        screen.line("exit status \(stranger.status ?? -1)")
        try claim(
            stranger.status == Failure.Status.denied.rawValue && stranger.output.lines.isEmpty,
            "Denied, with the exit status 77 that scripts can tell apart, and nothing told of this bus.")
    }
}
