// What all changes to what is stored have in common: which bus, and one line, or one JSON object, when it is done.

import ArgumentParser
import BusClient

/// Options of every command that changes something.
struct ChangeOptions: ParsableArguments {
    @Flag(help: "Print a JSON object when it is done.")
    var json = false

    @OptionGroup var bus: BusOptions

    /// Asks for a change, waits until it is on disk, and says so.
    ///
    /// - Parameter said: what is said of the number of things it touched.
    /// - Returns: that number.
    @discardableResult
    func change(
        _ operation: BusClient.Operation, key: String = "", filter: String = "", mode: SubscribeMode = [],
        start: Start? = nil, settings: [Setting] = [], said: (UInt64) -> String
    ) async throws -> UInt64 {
        let connection = try await bus.connect("bus \(operation.name)", reconnects: false)
        let count: UInt64
        do {
            count = try await connection.administer(
                operation, key: key, filter: filter, mode: mode, start: start, settings: settings)
        } catch {
            await connection.close()
            throw error
        }
        await connection.close()
        guard json else {
            Standard.output(said(count) + "\n")
            return count
        }
        var object = JSONObject()
        object.add("operation", operation.name)
        if !key.isEmpty { object.add("key", key) }
        if !filter.isEmpty { object.add("filter", filter) }
        object.add("count", count)
        Standard.output(object.closed + "\n")
        return count
    }
}

/// `1 event`, `1,234 events`.
func counted(_ count: UInt64, _ what: String) -> String { "\(Text.grouped(count)) \(what)\(count == 1 ? "" : "s")" }

/// A durable subscription's name from the command line: the rules are those of a group's.
func checkDurableName(_ name: String) throws {
    do {
        _ = try GroupName(name)
    } catch {
        throw ValidationError("the durable subscription's name “\(name)” \(error)")
    }
}

/// A filter from the command line, checked before anything is connected.
func checkFilterArgument(_ filter: String) throws {
    do { _ = try TopicFilter(filter) } catch { throw ValidationError("the filter “\(filter)” \(error)") }
}
