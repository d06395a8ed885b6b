// Handling the events of a durable subscription one by one: what the handler does with each is what the daemon hears.

import BusWire

extension BusConnection {
    /// Takes part in a durable subscription: `handler` is called for each event, one after the other. When it returns
    /// the event is acknowledged; when it throws the event is tried again after a pause, with the error as the reason.
    /// As long as it runs the daemon's wait is extended. Where it settles an event itself, that holds.
    ///
    /// The handler begins on the connection's executor, where calls on the connection are plain calls; work that blocks
    /// belongs elsewhere, since nothing else happens on the connection meanwhile. Events missed, and the end if it
    /// wasn't asked for, are told by `ConnectOptions.onNotice`.
    /// - Parameter filter: may be empty for a subscription that exists.
    /// - Throws: `BusError.badName`, `.refused`, `.invalid` unless `options.durable` says which, with automatic
    ///   acknowledgement.
    public func consume(
        _ filter: String, _ options: SubscribeOptions, handler: @escaping @Sendable (Event) async throws -> Void
    ) async throws(BusError) -> HandledSubscription {
        guard options.durable?.acknowledgement == .automatic else {
            throw .invalid("a durable subscription with automatic acknowledgement is consumed, nothing else")
        }
        let state = try await add(filter, options, .iterator)
        let core = core
        // The core and not the connection, which is to end when it is forgotten.
        let task = Task(executorPreference: core.reactor) {
            do throws(BusError) {
                while let arrival = try await state.nextArrival() { await state.handle(arrival, handler) }
            } catch {
                if core.failure == nil { core.options.onNotice?(.subscriptionEnded(filter: state.filter, error)) }
            }
        }
        return HandledSubscription(self, state, task)
    }
}

extension SubscriptionState {
    /// On the reactor.
    fileprivate func handle(_ arrival: BatchArrival, _ handler: @Sendable (Event) async throws -> Void) async {
        switch arrival {
        case .batch(let batch):
            for event in batch {
                // What is left of it comes again: the connection was lost, or another consumer gets it.
                guard let delivery = batch.delivery, delivery.isCurrent, !isEnding else { return }
                let failure: String?
                do {
                    try await handler(event)
                    failure = nil
                } catch {
                    failure = "\(error)"
                }
                settle(failure == nil ? .acknowledge : .retry, delivery, event.index, because: failure ?? "")
            }
        case .missed(let missed): core.options.onNotice?(.missed(filter: filter, missed))
        case .caughtUp: break
        }
    }
}
