// From frames to bytes. Everything but a batch is written to the end of an array its owner keeps and reuses; the
// batch itself is not copied: `tail` is what must follow on the wire.

extension Frame {
    /// The shared bytes that follow what `encode` writes; empty for frames that carry no batch.
    public var tail: SharedBytes {
        switch self {
        case .publish(let publish): publish.batch
        case .deliver(let deliver): deliver.batch
        case .will(let will): will.batch
        default: .empty
        }
    }

    /// Appends the frame to `out`, all but its `tail`, which its length already counts.
    public func encode(into out: inout [UInt8]) {
        let start = out.count
        out.put(UInt32(0))
        out.put(type.rawValue)
        out.put(flags)
        out.put(UInt16(type.fixedLength))
        let fixed = out.count
        encodeFixed(into: &out)
        assert(out.count - fixed == type.fixedLength, "\(type.name): fixed part has \(out.count - fixed) bytes")
        encodeRest(into: &out)
        out.patch(UInt32(out.count - start - Limits.frameHeaderLength + tail.count), at: start)
    }

    /// The whole frame in bytes of its own, its batch copied: for tests, hashes and refusals, not for the hot path.
    public var encoded: [UInt8] {
        var out: [UInt8] = []
        encode(into: &out)
        tail.withUnsafeBytes { out.append(contentsOf: $0) }
        return out
    }

    private var flags: UInt8 {
        switch self {
        case .publish(let publish): publish.flags
        case .deliver(let deliver): deliver.flags
        case .will(let will): will.flags
        case .announce(let announcement): announcement.forgetsEarlier ? Announcement.forgetsEarlierFlag : 0
        default: 0
        }
    }

    private func encodeFixed(into out: inout [UInt8]) {
        switch self {
        case .hello(let hello): hello.putFixed(&out)
        case .welcome(let welcome): welcome.putFixed(&out)
        case .error(let error): error.putFixed(&out)
        case .goodbye, .sync: break
        case .closing(let reason, _):
            out.put(reason.rawValue)
            out.put(UInt16(0))
        case .done(let type, let request):
            out.put(type)
            out.append(contentsOf: repeatElement(0, count: 7))
            out.put(request)
        case .will(let will): out.put(will.request)
        case .cancelRequest(let correlation): out.put(correlation)
        case .circuit(let circuit):
            out.put(circuit.state)
            out.append(contentsOf: repeatElement(0, count: 3))
        case .sealLimits(let limits):
            out.put(limits.seal)
            out.put(limits.batchLengthMax)
            out.put(limits.batchEventCountMax)
        case .unanswered(let unanswered):
            out.put(unanswered.correlation)
            out.put(unanswered.reason.rawValue)
            out.put(UInt16(0))
        case .caughtUp(let caughtUp):
            out.put(caughtUp.subscription)
            out.put(caughtUp.count)
        case .requestCancelled(let cancelled): out.put(cancelled.correlation)
        case .openSeal(let open):
            out.put(open.request)
            out.append(contentsOf: open.salt)
        case .sealOpened(let opened): opened.putFixed(&out)
        case .closeSeal(let seal): out.put(seal)
        case .publish(let publish):
            out.put(publish.number)
            if let due = publish.due { out.put(due) }
        case .receipts(let receipts):
            out.put(receipts.progress)
            out.put(UInt32(receipts.receipts.count))
            out.put(UInt16(Receipt.length))
            out.put(UInt16(0))
        case .subscribe(let subscribe): subscribe.putFixed(&out)
        case .subscribed(let subscription), .unsubscribe(let subscription): out.put(subscription)
        case .unsubscribed(let end): end.putFixed(&out)
        case .credit(let credit):
            out.put(credit.subscription)
            out.put(credit.events)
            out.put(credit.bytes)
        case .acknowledge(let acknowledge):
            out.put(acknowledge.subscription)
            out.put(acknowledge.delivery)
        case .settle(let settle): settle.putFixed(&out)
        case .announce(let announcement): announcement.putFixed(&out)
        case .grant(let grant):
            out.put(grant.epoch)
            out.put(grant.incarnation)
            out.put(grant.counter)
        case .deliver(let deliver): deliver.putFixed(&out)
        case .gap(let gap): gap.putFixed(&out)
        case .inspect(let inspect):
            out.put(inspect.request)
            out.put(inspect.kind.rawValue)
            out.put(UInt16(0))
        case .inspected(let inspected):
            out.put(inspected.request)
            out.put(UInt32(0))
        case .administer(let administer):
            out.put(administer.request)
            out.put(administer.operation.rawValue)
            out.append(contentsOf: repeatElement(0, count: 3))
        case .administered(let answer):
            out.put(answer.request)
            out.put(UInt32(0))
            out.put(answer.count)
        }
    }

    private func encodeRest(into out: inout [UInt8]) {
        switch self {
        case .hello(let hello): out.putField(.name, hello.name, lengthMax: Limits.nameLengthMax)
        case .welcome(let welcome): out.putField(.name, welcome.server, lengthMax: Limits.nameLengthMax)
        case .error(let error): out.putField(.message, error.message, lengthMax: Limits.messageLengthMax)
        case .closing(_, let message): out.putField(.message, message, lengthMax: Limits.messageLengthMax)
        case .openSeal(let open): out.putField(.topic, required: true, open.topic)
        case .sealOpened(let opened):
            out.putField(.grant, required: true, opened.grant)
            putPayloadLimit(opened.payloadLengthMax, into: &out)
        case .sealLimits(let limits): putPayloadLimit(limits.payloadLengthMax, into: &out)
        case .receipts(let receipts): for receipt in receipts.receipts { receipt.put(&out) }
        case .subscribe(let subscribe): subscribe.putFields(&out)
        case .settle(let settle):
            if !settle.selection.isEmpty { out.putField(.selection, required: true, settle.selection.array) }
            out.putField(.message, settle.message, lengthMax: Limits.messageLengthMax)
        case .administer(let administer): administer.putFields(&out)
        case .announce(let announcement):
            out.putField(.topic, required: true, announcement.topic)
            out.putField(.name, announcement.publisher, lengthMax: Limits.nameLengthMax)
            if announcement.topicIncarnation != 0 {
                out.putField(.incarnation, number: announcement.topicIncarnation)
            }
        case .grant(let grant):
            out.putField(.topic, required: true, grant.topic)
            out.putField(.grant, required: true, grant.sealed)
        case .deliver(let deliver): deliver.selection.withUnsafeBytes { out.append(contentsOf: $0) }
        case .gap(let gap): if !gap.topic.isEmpty { out.putField(.topic, gap.topic) }
        case .circuit(let circuit): out.putField(.topic, required: true, circuit.topic)
        case .requestCancelled(let cancelled): out.putField(.topic, required: true, cancelled.replyTopic)
        case .inspect(let inspect):
            out.putField(.key, required: true, inspect.key, lengthMax: Limits.nameLengthMax)
            if inspect.after != 0 { out.putField(.after, required: true, number: inspect.after) }
        case .inspected(let inspected):
            if inspected.after != 0 { out.putField(.after, required: true, number: inspected.after) }
            inspected.putRows(&out)
        case .goodbye, .done, .sync, .will, .cancelRequest, .unanswered, .closeSeal, .publish,
            .subscribed, .unsubscribe, .unsubscribed, .credit, .acknowledge, .caughtUp, .administered:
            break
        }
    }

    private func putPayloadLimit(_ limit: UInt32, into out: inout [UInt8]) {
        if limit != 0 { out.putField(.payloadLengthMax, number: limit) }
    }
}
