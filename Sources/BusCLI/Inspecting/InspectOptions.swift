// What all questions to the daemon have in common: which bus, JSON or text, and what is said when there is nothing.

import ArgumentParser
import BusClient
import Glibc

/// Options of every list and every show.
struct InspectOptions: ParsableArguments {
    @Flag(help: "Print JSON, an object a line, with the daemon's exact numbers.")
    var json = false

    @OptionGroup var bus: BusOptions

    /// All rows of a kind.
    func rows(_ kind: InspectionKind) async throws -> [InspectedRow] {
        try await with("bus list") { connection in
            try await connection.inspect(kind).map { InspectedRow(values: $0) }
        }
    }

    /// Runs questions on one connection, under the name that `bus list` then shows.
    func with<R: Sendable>(_ name: String, _ body: (BusConnection) async throws -> R) async throws -> R {
        let connection = try await bus.connect(name, reconnects: false)
        do {
            let result = try await body(connection)
            await connection.close()
            return result
        } catch {
            await connection.close()
            throw error
        }
    }

    /// Asks for one thing by its name.
    ///
    /// - Parameter hint: which command lists what there is.
    func row(
        _ kind: InspectionKind, _ key: String, _ what: String, hint: String, _ connection: BusConnection
    ) async throws -> InspectedRow {
        do throws(BusError) {
            if let row = try await connection.inspect(kind, key: key).first { return InspectedRow(values: row) }
        } catch {
            guard case .refused(.unknownName, _) = error else { throw error }
        }
        throw Failure(.unknownName, "there is no \(what) \(key) on \(bus.address): \(hint) shows what there is")
    }

    /// The subscriptions of which something is so; none for JSON, which tells of one thing an object.
    func subscriptions(
        _ connection: BusConnection, where belongs: (InspectedRow) -> Bool
    ) async throws -> [InspectedRow] {
        if json { return [] }
        return try await connection.inspect(.subscriptions).map { InspectedRow(values: $0) }.filter(belongs)
    }

    /// Prints one thing in detail, with its subscriptions, or as JSON.
    func show(_ row: InspectedRow, _ title: String, _ details: Details, _ subscriptions: [InspectedRow] = []) {
        if json { return Standard.output(row.json + "\n") }
        Standard.output(([title] + details.lines).map { $0 + "\n" }.joined())
        guard !subscriptions.isEmpty else { return }
        Standard.output("\n")
        Table(SubscriptionList.columns, subscriptions).print()
    }

    /// Prints rows as a table, or as JSON.
    func show(_ rows: [InspectedRow], _ columns: [InspectedColumn], ifNone: String) {
        show(rows, Table(columns, rows), ifNone: ifNone)
    }

    /// Prints a table of rows, or the rows as JSON.
    func show(_ rows: [InspectedRow], _ table: @autoclosure () -> Table, ifNone: String) {
        if json {
            var output = OutputBuffer()
            for row in rows { output.append(row.json + "\n") }
            output.flush()
        } else if rows.isEmpty {
            Standard.error("bus: \(ifNone) on \(bus.address)\n")
        } else {
            table().print()
        }
    }
}

/// Microseconds since 1970, as milliseconds ago; 0 for a clock that was set back.
func millisecondsSince(_ microseconds: UInt64) -> UInt64 {
    var now = timespec()
    clock_gettime(CLOCK_REALTIME, &now)
    let passed = Int64(now.tv_sec) * 1000 + Int64(now.tv_nsec) / 1_000_000 - Int64(clamping: microseconds / 1000)
    return UInt64(max(0, passed))
}
