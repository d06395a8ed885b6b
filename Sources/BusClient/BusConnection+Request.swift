// Asking and answering.

extension BusConnection {
    /// Asks, and waits for the first answer. Of a streamed answer that is the first part; see `requests` for all.
    ///
    /// The event's correlation, unless it has one, is its own id; no two open requests may have the same.
    /// - Throws: `BusError.noResponders` at once where nobody is there to answer, `.responderGone` when who had the
    ///   request is gone, `.replyFailed` for an error answer, `.timedOut`, `.circuitOpen`, `.disconnected` when the
    ///   connection was lost meanwhile, `.cancelled`.
    public func request(
        _ event: OutgoingEvent, to topic: String, _ options: RequestOptions = RequestOptions()
    ) async throws(BusError) -> Reply {
        let conversation = try ask(event, topic, options, endsAtFirst: true)
        guard let reply = try await conversation.next() else {
            throw .internalFailure("a request on \(topic) ended without answer or error")
        }
        if let failure = reply.failure { throw .replyFailed(failure) }
        return reply
    }

    /// Asks with a text, and waits for the first answer.
    public func request(
        _ text: String, to topic: String, _ options: RequestOptions = RequestOptions()
    ) async throws(BusError) -> Reply {
        try await request(OutgoingEvent(text), to: topic, options)
    }

    /// Asks, and gives the answers one by one: of several responders, of a responder that answers in parts, or both.
    nonisolated public func requests(
        _ event: OutgoingEvent, to topic: String, _ options: RequestOptions = RequestOptions()
    ) -> Replies {
        Replies(connection: self, event: event, topic: topic, options: options)
    }

    /// Answers the requests on a filter's topics: each calls `handler`, which returns the answer. What it throws
    /// becomes an error answer.
    ///
    /// The handler begins on the connection's executor, where calls on the connection are plain calls; work that
    /// blocks belongs elsewhere, since nothing else happens on the connection meanwhile. Up to `options.parallel`
    /// handlers run at a time. When a request is cancelled, its handler's task is.
    ///
    /// A request that comes again (a requester that tries again, with the same event id) doesn't call the handler
    /// again: it waits for the call under way, or gets the answer kept from before. Kept are the last 1,024 answers
    /// within 4 MiB.
    /// - Throws: `BusError.badName`, `.refused`, `.invalid`.
    public func reply(
        to filter: String, _ options: SubscribeOptions = SubscribeOptions(),
        handler: @escaping @Sendable (Request) async throws -> OutgoingEvent
    ) async throws(BusError) -> Responder {
        guard !options.beginsWithLast else { throw .invalid("a responder answers what is asked now, not what is kept") }
        let state = ResponderState(self, options, handler)
        _ = try await add(
            filter, state.options,
            .responder { [weak state] in state?.take($0, delivery: $1, length: $2) }, began: state.began)
        return Responder(connection: self, state: state)
    }

    private func ask(
        _ event: OutgoingEvent, _ topic: String, _ options: RequestOptions, endsAtFirst: Bool
    ) throws(BusError) -> Conversation {
        let topic = try checkedTopic(topic)
        try core.check(event)
        try core.publishing.topic(topic).check(payloadLength: event.payload.count)
        return try core.requesting.ask(event, topic, options, endsAtFirst: endsAtFirst)
    }

    func nextReply(_ replies: Replies, _ asked: Replies.Asked) async throws(BusError) -> Reply? {
        if asked.conversation == nil {
            asked.conversation = try ask(replies.event, replies.topic, replies.options, endsAtFirst: false)
        }
        return try await asked.conversation?.next()
    }

    func send(_ part: OutgoingEvent, of work: RequestWork) async throws(BusError) {
        try await waitForRoom()
        try work.send(part)
    }

    func cancel(_ state: ResponderState) { state.cancel() }

    func finish(_ state: ResponderState) async { await state.finish() }
}
