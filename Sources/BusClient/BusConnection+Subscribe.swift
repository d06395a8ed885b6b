// Subscribing: as a sequence of events, as a sequence of batches, or with a handler on the connection's executor.

import BusWire

extension BusConnection {
    /// Subscribes and waits until the daemon has confirmed: what is accepted from then on arrives.
    ///
    /// The daemon sends as much as the application takes; see `SubscribeOptions` for what happens beyond.
    /// - Parameter filter: of a durable subscription that exists it may be empty: its own is taken.
    /// - Throws: `BusError.badName`, `.refused`, `.invalid` for options that exclude one another.
    public func subscribe(
        _ filter: String, _ options: SubscribeOptions = SubscribeOptions()
    ) async throws(BusError) -> Subscription {
        Subscription(self, try await add(filter, options, .iterator))
    }

    /// Subscribes with a handler that is called on the connection's executor for every batch, without any change of
    /// thread. While it runs nothing else happens on this connection.
    public func subscribe(
        _ filter: String, _ options: SubscribeOptions = SubscribeOptions(),
        handler: @escaping @Sendable (BatchArrival) -> Void
    ) async throws(BusError) -> HandledSubscription {
        HandledSubscription(self, try await add(filter, options, .handler(handler)))
    }

    func add(
        _ pattern: String, _ options: SubscribeOptions, _ taker: sending SubscriptionState.Taker,
        began: (SubscriptionState) -> Void = { _ in }
    ) async throws(BusError) -> SubscriptionState {
        let filter: TopicFilter?
        do throws(NameFault) {
            filter = pattern.isEmpty && options.durable != nil ? nil : try TopicFilter(pattern)
        } catch {
            throw .badName(pattern, error)
        }
        if let failure = core.failure { throw failure }
        let state = try SubscriptionState(core, filter: filter, options: options, taker: taker)
        state.connection = self
        began(state)
        core.subscribing.add(state)
        let confirmed = await withTaskCancellationHandler {
            _ = self
            return await state.confirmed()
        } onCancel: {
            Task { await self.giveUp(state) }
        }
        try confirmed.get()
        await learn(state)
        return state
    }

    /// What a durable subscription is by the daemon's word, whatever this session asked for: how long it waits for
    /// an acknowledgement, and its filter. Unsaid, the defaults hold.
    private func learn(_ state: SubscriptionState) async {
        guard let name = state.options.durable?.name, state.consumer != nil || state.isNamedOnly,
            let row = try? await core.inspecting.ask(.durableSubscriptions, key: name).first
        else { return }
        for value in row {
            switch value.value {
            case .number(let wait) where value.name == SettingKey.acknowledgeWait.name:
                state.noteWait(.microseconds(Int64(clamping: wait)))
            case .text(let text) where value.name == "filter":
                if let filter = try? TopicFilter(text) { state.filter = filter }
            default: break
            }
        }
    }

    /// The task that subscribes was cancelled, maybe just when the daemon confirmed: then it stays.
    private func giveUp(_ state: SubscriptionState) {
        guard state.refuseConfirmation(.cancelled) else { return }
        state.cancel()
    }

    func next(_ state: SubscriptionState) async throws(BusError) -> BatchArrival? {
        try await state.nextArrival()
    }

    func cancel(_ state: SubscriptionState) { state.cancel() }

    func acknowledge(_ state: SubscriptionState) { state.acknowledgeHandedOut() }
}

/// A subscription whose events go to a handler.
public struct HandledSubscription: Sendable {
    private let connection: BusConnection
    private let state: SubscriptionState
    private let task: Task<Void, Never>?

    init(_ connection: BusConnection, _ state: SubscriptionState, _ task: Task<Void, Never>? = nil) {
        self.connection = connection
        self.state = state
        self.task = task
    }

    /// Ends it: the handler is not called again. Of `consume`, the task of one under way is cancelled, and what it has
    /// goes to another consumer.
    public func cancel() async {
        await connection.cancel(state)
        task?.cancel()
    }
}
