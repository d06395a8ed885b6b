// An effect in one line: whom it concerns, what it is, what matters of it.

import BusWire

@testable import BusBroker

extension Effect {
    /// The line of a transcript that it is.
    var inWords: String {
        switch self {
        case .send(let id, let frame): "\(id) < \(frame.inWords)"
        case .openSeal(let order):
            "\(order.session) open-seal request=\(order.request) seal=\(order.seal) topic=\(order.topic) "
                + "epoch=\(order.epoch)" + bounds(order.batchLengthMax, order.batchEventCountMax)
        case .grant(let id, let topic, let epoch): "\(id) grant topic=\(topic) epoch=\(epoch)"
        case .close(let id, let reason, _): "\(id) close \(reason)"
        case .openOwnSeal(let seal, let topic, let epoch): "daemon open-seal seal=\(seal) topic=\(topic) epoch=\(epoch)"
        case .closeOwnSeal(let seal): "daemon close-seal seal=\(seal)"
        case .advise(let seal, let advisories):
            "daemon advise seal=\(seal)" + advisories.map { " " + $0.inWords }.joined()
        case .stopped: "stopped"
        case .store(let ticket, let write): "store \(ticket) \(write.inWords)"
        case .readDue(let order): "store due by=\(order.time)"
        case .read(let order): "store read from=\(order.from) before=\(order.before)"
        case .seek(let order): "store seek \(order.start)"
        case .retain(let order): "store retain topic=\(order.topic) before=\(order.before)"
        case .tend(.deadLetters): "store tend dead-letters"
        case .tend(.unattended(let name, _)): "store tend unattended \(name)"
        case .administer(let id, let wish): "\(id) administer \(wish.operation.name) \(wish.key)"
        case .inspect(let id, let question): "\(id) inspect \(question.kind.rawValue) \(question.key)"
        }
    }
}

extension StoreWrite {
    fileprivate var inWords: String {
        switch self {
        case .schedule(let event): "schedule \(event.number) due=\(event.due)"
        case .unschedule(let number): "unschedule \(number)"
        case .setAsideScheduled(let number): "set-aside scheduled=\(number)"
        case .publishScheduled(let number, let batch):
            "publish scheduled=\(number) position=\(batch.position) sequence=\(batch.firstSequence)"
        case .append(let batch):
            "append position=\(batch.position) sequence=\(batch.firstSequence) n=\(batch.eventCount)"
        case .seal(let seal): "seal \(seal.number)"
        case .sealClosed(let number): "seal-closed \(number)"
        case .topic(let number, let name): "topic \(number) \(name)"
        case .removeTopic(let number): "remove-topic \(number)"
        case .trim(let topic, let position): "trim topic=\(topic) before=\(position)"
        case .retain(let topic, let position): "retain topic=\(topic) position=\(position.map(String.init) ?? "none")"
        case .declare(let filter, _): "declare \(filter)"
        case .undeclare(let filter): "undeclare \(filter)"
        case .subscription(let stored): "subscription \(stored.name) next=\(stored.cursor.next)"
        case .cursor(let number, let cursor):
            "cursor \(number) next=\(cursor.next)"
                + cursor.pending.map { " \($0.first)+\($0.count)x\($0.attempts)" }.joined()
        case .removeSubscription(let number): "remove-subscription \(number)"
        case .deadLetter(let letter): "dead-letter \(letter.number) position=\(letter.position) \(letter.reason)"
        case .removeDeadLetter(let number, _): "remove-dead-letter \(number)"
        case .ledger(let line): "ledger \(line.first)+\(line.count) \(line.outcome) session=\(line.session)"
        case .trimLedger(let position): "trim-ledger before=\(position)"
        case .lookUp(let uid, let first, let count, _, _, _): "look-up uid=\(uid) \(first)+\(count)"
        case .trimIDs: "trim-ids"
        }
    }
}

extension Advisory {
    fileprivate var inWords: String {
        switch self {
        case .sessionOpened(let id, let peer, let name): "opened=\(id)/\(peer.uid)/\(name)"
        case .sessionClosed(let id, let peer, let name, let reason): "closed=\(id)/\(peer.uid)/\(name)/\(reason)"
        case .deadLetter(let word): "dead=\(word.subscription)/\(word.topic)/\(word.sequences)/\(word.reason)"
        }
    }
}

/// How long batches may be, where that isn't as long as ever.
private func bounds(_ length: UInt32, _ events: UInt32) -> String {
    let limits = BatchLimits.normal
    return Int(length) == limits.length && Int(events) == limits.eventCount ? "" : " batch=\(length)/\(events)"
}

extension Frame {
    fileprivate var inWords: String {
        switch self {
        case .deliver(let deliver): deliver.inWords
        case .receipts(let told): "receipts progress=\(told.progress)" + told.receipts.map(\.inWords).joined()
        case .gap(let gap):
            "gap \(gap.subscription) \(gap.reason) count=\(gap.count.map(String.init) ?? "?") "
                + "topic=\(text(gap.topic)) sequences=\(gap.firstSequence)-\(gap.lastSequence)"
        case .announce(let word):
            "announce seal=\(word.seal) topic=\(text(word.topic)) uid=\(word.uid) publisher=\(word.publisher)"
                + (word.forgetsEarlier ? " forgets-earlier" : "")
        case .error(let error):
            "\(error.isFatal ? "fatal" : "error") \(error.reason) "
                + "of=\(FrameType(rawValue: error.inReplyTo)?.name ?? "none") request=\(error.request): \(error.message)"
        case .subscribed(let number): "subscribed \(number)"
        case .unsubscribed(let end):
            "unsubscribed \(end.subscription) delivered=\(end.deliveredCount) missed=\(end.missedCount)"
                + (end.reason == .unsubscribed ? "" : " \(end.reason)")
        case .closing(let reason, let message): "closing \(reason): \(message)"
        case .done(let type, _): "done of=\(FrameType(rawValue: type)?.name ?? "none")"
        case .caughtUp(let marker): "caught-up \(marker.subscription) count=\(marker.count)"
        case .unanswered(let word): "unanswered \(word.correlation.low) \(word.reason)"
        case .requestCancelled(let word): "cancelled \(word.correlation.low) topic=\(text(word.replyTopic))"
        case .sealLimits(let told): "limits seal=\(told.seal) batch=\(told.batchLengthMax)/\(told.batchEventCountMax)"
        default: type.name
        }
    }

    private func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }
}

extension Receipt {
    /// ` number:sequences/matches`, and for a request `?responders`.
    fileprivate var inWords: String {
        " \(number):\(firstSequence)-\(firstSequence + UInt64(eventCount) - 1)/\(liveMatches)"
            + (responders > 0 ? "?\(responders)" : "")
    }
}

extension Deliver {
    /// Sequences are those of the whole batch; which of them are meant is said where they aren't all.
    fileprivate var inWords: String {
        let header = (try? SealedBatch(batch))?.header
        let last = firstSequence + UInt64(max(header?.eventCount ?? 0, 1)) - 1
        let flags = [(isStored, " stored"), (isAnswerable, " answerable"), (hasMore, " more")]
        return "deliver \(subscription) delivery=\(delivery) sequences=\(firstSequence)-\(last)"
            + (selection.isEmpty ? "" : " meant=\(sequences.map(String.init).joined(separator: ","))")
            + (attempt > 1 ? " attempt=\(attempt)" : "")
            + flags.filter(\.0).map(\.1).joined()
    }
}
