// What an administrator may ask for.

public import BusWire

extension BusConnection {
    /// Asks for a change to what the daemon stores, and waits until it is on disk.
    ///
    ///     try await bus.administer(.createTopic, filter: "orders.>", settings: [Setting(.durable, 1)])
    ///     try await bus.administer(.seekSubscription, key: "billing", start: .all)
    ///
    /// Which of the parameters an operation takes, it says itself. A connection lost meanwhile fails the request: it may
    /// have been carried out, and asking again says so.
    /// - Returns: how many things it touched: events purged, letters redriven, rows found damaged.
    /// - Throws: `BusError.refused` with the reason (`unknown-name`, `name-taken`, `invalid-setting`, `denied`,
    ///   `store-unavailable`, …) and a sentence that names the thing; `.badName`, `.invalid`, `.disconnected`,
    ///   `.cancelled`, after which it may still be carried out.
    @discardableResult
    public func administer(
        _ operation: Operation, key: String = "", filter: String = "", mode: SubscribeMode = [], start: Start? = nil,
        settings: [Setting] = []
    ) async throws(BusError) -> UInt64 {
        guard key.utf8.count <= Limits.keyLengthMax else {
            throw .invalid("a key of \(key.utf8.count) bytes, at most \(Limits.keyLengthMax) are allowed")
        }
        let bytes: [UInt8]
        do throws(NameFault) { bytes = filter.isEmpty ? [] : try TopicFilter(filter).bytes } catch {
            throw .badName(filter, error)
        }
        return try await core.administering.ask {
            Administer(request: $0, operation, key: key, filter: bytes, mode: mode, start: start, settings: settings)
        }
    }
}
