// bus status: the daemon as a whole.

import ArgumentParser
import BusClient

struct StatusCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status", abstract: "Show how the daemon is: sessions, subscriptions, events, queues, losses.")

    @Flag(help: "Print one JSON object.")
    var json = false

    @OptionGroup var bus: BusOptions

    func run() async throws {
        let address = bus.address
        let connection = try await bus.connect("bus status", reconnects: false)
        let server = await connection.server
        let values = try await connection.status()
        await connection.close()
        if json {
            var object = JSONObject()
            object.add("bus", address.path)
            object.add("server", server)
            for value in values { add(value, to: &object) }
            return Standard.output(object.closed + "\n")
        }
        let width = values.map(\.name.count).max() ?? 0
        var text = "\(server) on \(address)\n"
        for value in values {
            let name = value.name.replacing("_", with: " ")
            text += "  \(name)" + String(repeating: " ", count: width - name.count + 2) + describe(value.value) + "\n"
        }
        Standard.output(text)
    }

    private func add(_ value: InspectedValue, to object: inout JSONObject) {
        switch value.value {
        case .number(let number): object.add(value.name, number)
        case .text(let text): object.add(value.name, text)
        }
    }

    /// Numbers in groups of three.
    private func describe(_ value: InspectedValue.Value) -> String {
        switch value {
        case .text(let text): return text
        case .number(let number):
            let digits = Array(String(number))
            var grouped = ""
            for (i, digit) in digits.enumerated() {
                if i > 0, (digits.count - i) % 3 == 0 { grouped += "," }
                grouped.append(digit)
            }
            return grouped
        }
    }
}
