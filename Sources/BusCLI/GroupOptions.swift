// Sharing a subscription with others.

import ArgumentParser
import BusClient

struct GroupOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Share with all others of this group: each event goes to one.", valueName: "name"))
    var group: String?

    func validate() throws {
        guard let group else { return }
        do { _ = try GroupName(group) } catch { throw ValidationError("the group's name “\(group)” \(error)") }
    }
}
