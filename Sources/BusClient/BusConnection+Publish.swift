// Publishing, one call at a time. For streams see `WindowedPublisher`.

public import BusWire

extension BusConnection {
    /// Publishes an event and waits for its receipt.
    ///
    /// When the connection is lost meanwhile, the event is sent again with the same id as soon as it is back.
    /// - Throws: `BusError`; after `.cancelled` it may still be delivered.
    @discardableResult
    public func publish(_ event: OutgoingEvent, to topic: String) async throws(BusError) -> PublishReceipt {
        try await publish([event], to: topic)
    }

    /// Publishes a text and waits for its receipt.
    @discardableResult
    public func publish(_ text: String, to topic: String) async throws(BusError) -> PublishReceipt {
        try await publish([OutgoingEvent(text)], to: topic)
    }

    /// Publishes events together: all of them, as one batch, or none.
    ///
    /// - Throws: `BusError.tooLarge` when they don't fit into one batch (4,096 events, 256 KiB; 4 KiB where the last
    ///   one retains).
    @discardableResult
    public func publish(_ events: [OutgoingEvent], to topic: String) async throws(BusError) -> PublishReceipt {
        let topic = try checkedTopic(topic)
        guard !events.isEmpty else { throw .tooLarge("no events to publish") }
        for event in events { try core.check(event) }
        try await waitForRoom()
        let publisher = core.publishing.topic(topic)
        for event in events { try publisher.check(payloadLength: event.payload.count) }
        if events.count > 1 {
            guard events.allSatisfy({ $0.dueAt == nil }) else {
                throw .invalid("events to be published later are published one by one, so that each can be taken back")
            }
            try checkFitsOneBatch(events)
        }
        let number = core.publishing.makeWaiterNumber()
        return try await receipt(events, on: publisher, number)
    }

    /// Publishes without a receipt: for telemetry. Waits only while too much is waiting to be sent.
    ///
    /// - Returns: the event's id.
    @discardableResult
    public func publishWithoutReceipt(_ event: OutgoingEvent, to topic: String) async throws(BusError) -> BusUUID {
        let topic = try checkedTopic(topic)
        try core.check(event)
        try await waitForRoom()
        let publisher = core.publishing.topic(topic)
        try publisher.check(payloadLength: event.payload.count)
        let batch = core.publishing.gather(event, on: publisher, wantsReceipt: false)
        return batch.id(at: batch.eventCount - 1)
    }

    /// A publisher that gives up to `window` events away before it waits for receipts. Use it inside `run`.
    ///
    /// The topic's seal is asked for here, so that the first event needn't wait a round trip for it.
    /// - Parameters:
    ///   - retains: whether each event becomes its topic's last value.
    ///   - mustBeDurable: whether events are refused where the topic is live.
    public func publisher(
        for topic: String, window: Int = 65_536, receipts: Bool = true, retains: Bool = false,
        mustBeDurable: Bool = false
    ) throws(BusError) -> WindowedPublisher {
        var traits: BatchTraits = receipts ? .wantsReceipt : []
        if retains { traits.insert(.retains) }
        if mustBeDurable { traits.insert(.mustBeDurable) }
        let publisher = WindowedPublisher(core, topic: try checkedTopic(topic), window: max(1, window), traits)
        publisher.prepare()
        return publisher
    }

    func waitForRoom() async throws(BusError) {
        await core.publishing.waitForRoom()
        if let failure = core.failure { throw failure }
        if Task.isCancelled { throw .cancelled }
    }

    func checkedTopic(_ name: String) throws(BusError) -> Topic {
        do throws(NameFault) {
            let topic = try Topic(name)
            guard !topic.isReserved else { throw .reserved }
            return topic
        } catch {
            throw .badName(name, error)
        }
    }

    /// Against what the daemon takes on every topic, with every event carrying all columns that one has. A topic's own bounds are
    /// a wish: whoever wants events together gets that also where a group shares them.
    private func checkFitsOneBatch(_ events: [OutgoingEvent]) throws(BusError) {
        let columns = events.reduce(into: EventColumns()) { $0.formUnion($1.columns) }
        let length = events.reduce(BatchHeader.length + 4 + BatchHeader.tagLength) { sum, event in
            sum + EventRecord.length(ofPayload: event.payload.count, headers: event.headers)
        }
        let columnsLength = 4 + columns.width * events.count
        let retains = events[events.count - 1].retains
        let lengthMax = retains ? Limits.retainedBatchLengthMax : Limits.batchLengthMax
        guard events.count <= Limits.batchEventCountMax, columnsLength <= Limits.columnsLengthMax,
            length + columnsLength <= lengthMax
        else {
            throw .tooLarge(
                "\(events.count) events of \(length) bytes don't fit into one batch "
                    + "(\(Limits.batchEventCountMax) events, \(lengthMax) bytes, "
                    + "ids and correlations within \(Limits.columnsLengthMax) bytes)")
        }
    }

    private func receipt(
        _ events: [OutgoingEvent], on topic: TopicPublisher, _ number: UInt64
    ) async throws(BusError) -> PublishReceipt {
        let result = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let batch =
                    events.count > 1
                    ? core.publishing.gatherTogether(events, on: topic)
                    : core.publishing.gather(events[0], on: topic, wantsReceipt: true)
                batch.waiters.append(
                    OutgoingBatch.Waiter(
                        number: number, firstIndex: batch.eventCount - events.count, count: events.count,
                        continuation: continuation))
                if Task.isCancelled { cancel(number) }
            }
        } onCancel: {
            Task { await self.cancel(number) }
        }
        return try result.get()
    }

    private func cancel(_ number: UInt64) {
        core.publishing.removeWaiter(number)?.continuation.resume(returning: .failure(.cancelled))
    }
}
