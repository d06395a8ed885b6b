// What an administrator changes: declarations of topics, durable subscriptions, dead letters. Every wish is answered
// when it is on disk, or refused with what is wrong, and then nothing has changed.

public import BusWire
import DequeModule

extension Broker {
    func administer(_ wish: Administer, _ session: Session) {
        do throws(AdministrationFault) {
            let before = storage?.nextTicket
            guard let count = try carryOut(wish, session) else { return }
            answer(wish.request, session, count, since: before)
        } catch {
            refuse(session, .administer, request: UInt64(wish.request), error.reason, error.message)
        }
    }

    /// Answers a wish when what it wrote is on disk; at once where that was nothing.
    func answer(_ request: UInt32, _ session: Session, _ count: UInt64, since ticket: UInt64?) {
        guard let storage, storage.nextTicket != ticket else {
            return answer(session, .administered(Administered(request: request, count: count)))
        }
        complete(storage.nextTicket - 1, .administered(session, request: request, count: count))
    }

    /// - Returns: how many things were touched; nil where the answer comes by another way.
    private func carryOut(_ wish: Administer, _ session: Session) throws(AdministrationFault) -> UInt64? {
        guard storage != nil else { throw AdministrationFault(.storeUnavailable, "this bus has no store") }
        switch wish.operation {
        case .createTopic: return try createTopic(wish, session)
        case .alterTopic: return try alterTopic(wish)
        case .deleteTopic: return try deleteTopic(wish)
        case .purgeTopic: return try purgeTopic(wish)
        case .createSubscription: return try createSubscription(wish, session)
        case .alterSubscription: return try alterSubscription(wish)
        case .seekSubscription: return try seekSubscription(wish, session)
        case .deleteSubscription:
            let subscription = try subscription(wish)
            let left = storage.map { pending(of: subscription, $0) } ?? 0
            remove(subscription, reason: .purged)
            return left
        case .redriveDead, .dropDead:
            ask(wish, session)
            return nil
        case .backup, .backupWithKey, .scrub, .cancelScheduled:
            ask(wish, session)
            return nil
        default:
            throw AdministrationFault(.notSupported, "\(wish.operation.name) is nothing this daemon does")
        }
    }

    /// What the store knows better is asked there; the answer comes as `Input.administered`.
    private func ask(_ wish: Administer, _ session: Session) {
        if wish.operation == .cancelScheduled { storage?.schedule.beginSearch() }
        emit(.administer(session.id, wish))
    }

    /// Answers what was asked of the store.
    func administered(_ id: SessionID, _ request: UInt32, _ outcome: AdministrationOutcome) {
        defer { if case .scheduled = outcome { storage?.schedule.endSearch() } }
        guard let session = sessions[id] else { return }
        switch outcome {
        case .done(let count): answer(session, .administered(Administered(request: request, count: count)))
        case .refused(let reason, let message):
            refuse(session, .administer, request: UInt64(request), reason, message)
        case .redriven(let letters):
            let before = storage?.nextTicket
            answer(request, session, redrive(letters), since: before)
        case .scheduled(let events): cancel(events, request, session)
        case .dropped(let letters):
            let before = storage?.nextTicket
            forget(letters)
            answer(request, session, letters.reduce(0) { $0 + UInt64($1.eventCount) }, since: before)
        }
    }

    // MARK: Topics

    /// What is said of topics, by configuration and by command.
    var declarations: [TopicDeclaration] { configuration.topics + (storage?.declared ?? []) }

    private func createTopic(_ wish: Administer, _ session: Session) throws(AdministrationFault) -> UInt64 {
        let filter = try filter(wish.filter)
        guard filter.bytes[0] != UInt8(ascii: "$") else {
            throw AdministrationFault(.badFilter, "'\(filter)' begins with a $: those topics are the daemon's")
        }
        if let known = declarations.first(where: { $0.filter == filter }) {
            throw AdministrationFault(
                .nameTaken,
                configuration.topics.contains(known)
                    ? "'\(filter)' is declared in the configuration"
                    : "'\(filter)' is declared already: `bus topic alter` changes it")
        }
        let count = storage?.declared.count ?? 0
        guard count < configuration.declarationCountMax else {
            let fault = QuotaFault(
                quota: "declarations", used: count, limit: configuration.declarationCountMax, uid: session.peer.uid)
            throw AdministrationFault(.quotaExceeded, fault.message)
        }
        let declaration = try declaration(filter, Setting.merge([], wish.settings))
        if let rival = declarations.lazy.map(\.filter).first(where: { declaration.ties(with: $0) }) {
            throw AdministrationFault(
                .nameTaken, "'\(filter)' and '\(rival)' match the same topics, and neither is the more specific")
        }
        storage?.declared.append(declaration)
        store(.declare(filter, declaration.said))
        redeclare(filter)
        return 0
    }

    private func declaration(
        _ filter: TopicFilter, _ settings: [Setting]
    ) throws(AdministrationFault) -> TopicDeclaration {
        do throws(SettingFault) {
            return try TopicDeclaration(
                filter, settings: settings, defaults: configuration.topicDefaults, within: configuration)
        } catch {
            throw AdministrationFault(.invalidSetting, error.description)
        }
    }

    private func declared(_ wish: Administer) throws(AdministrationFault) -> Int {
        let filter = try filter(wish.filter)
        if let index = storage?.declared.firstIndex(where: { $0.filter == filter }) { return index }
        guard !configuration.topics.contains(where: { $0.filter == filter }) else {
            throw AdministrationFault(.denied, "'\(filter)' is declared in the configuration: change it there")
        }
        throw AdministrationFault(.unknownName, "nothing is declared for '\(filter)'")
    }

    private func alterTopic(_ wish: Administer) throws(AdministrationFault) -> UInt64 {
        let index = try declared(wish)
        guard let known = storage?.declared[index] else { return 0 }
        let settings = Setting.merge(known.said, wish.settings)
        let changed = try declaration(known.filter, settings)
        guard changed.settings.isDurable == known.settings.isDurable else {
            throw AdministrationFault(
                .invalidSetting, "a topic can't change its kind: delete the declaration and make another one")
        }
        storage?.declared[index] = changed
        store(.declare(known.filter, settings))
        redeclare(known.filter)
        return 0
    }

    /// Takes a declaration back. What its topics have stored is deleted, unless another declaration keeps it.
    private func deleteTopic(_ wish: Administer) throws(AdministrationFault) -> UInt64 {
        let index = try declared(wish)
        guard let known = storage?.declared.remove(at: index) else { return 0 }
        store(.undeclare(known.filter))
        let before = storedCount
        redeclare(known.filter)
        return before - storedCount
    }

    private func purgeTopic(_ wish: Administer) throws(AdministrationFault) -> UInt64 {
        guard let name = try? Topic(wish.key), let topic = topics[name], topic.isDurable else {
            throw AdministrationFault(.unknownName, "there is no durable topic \(wish.key)")
        }
        let count = topic.stored.eventCount
        trim(topic, before: storage?.nextPosition ?? 0, .purged)
        return count
    }

    /// Has all topics of a filter be what is said of them now.
    private func redeclare(_ filter: TopicFilter) {
        // In the order in which they came into being, and not a table's.
        for topic in topics.values.filter({ filter.matches($0.name) }).sorted(by: { $0.number < $1.number }) {
            let declaration = TopicDeclaration.of(topic.name, in: declarations)
            let settings = declaration?.settings ?? .live
            topic.settings = settings
            if settings.isDurable, !topic.isDurable {
                makeDurable(topic)
            } else if !settings.isDurable, topic.isDurable {
                makeLive(topic)
            }
        }
        // What matches and how long batches may be is looked at anew.
        filters.touch()
        tellPayloadLimits(of: filter)
    }

    /// A topic's events are stored from now on.
    func makeDurable(_ topic: TopicState) {
        guard let storage, !topic.isDurable else { return }
        let number = storage.nextTopic
        storage.nextTopic += 1
        topic.beginStoring(as: number, of: storage.incarnation, from: storage.nextPosition)
        storage.topics[number] = topic
        store(.topic(number: number, name: topic.name))
    }

    private func makeLive(_ topic: TopicState) {
        guard let storage, topic.isDurable else { return }
        missAll(of: topic)
        store(.removeTopic(number: topic.storeNumber))
        storage.topics[topic.storeNumber] = nil
        releaseScheduled(of: topic)
        topic.endStoring()
        noteIdle(topic)
    }

    // MARK: Subscriptions

    private func subscription(_ wish: Administer) throws(AdministrationFault) -> Subscription {
        if let name = try? GroupName(wish.key), let known = storage?.subscriptions[name] { return known }
        throw AdministrationFault(.unknownName, "there is no durable subscription \(wish.key)")
    }

    private func createSubscription(_ wish: Administer, _ session: Session) throws(AdministrationFault) -> UInt64? {
        let name: GroupName
        do throws(NameFault) {
            name = try GroupName(wish.key)
        } catch {
            throw AdministrationFault(.badGroup, "the subscription's name \(error)")
        }
        guard storage?.subscriptions[name] == nil else {
            throw AdministrationFault(.nameTaken, "subscription \(name) exists already")
        }
        let start = wish.start ?? .new
        _ = try makeDurable(
            name, filter: wish.filter, mode: wish.mode, wish.settings, start: start, session,
            for: Wisher(session: session, request: wish.request))
        return start.isSought ? nil : 0
    }

    private func alterSubscription(_ wish: Administer) throws(AdministrationFault) -> UInt64 {
        let subscription = try subscription(wish)
        guard let durable = subscription.durable else { return 0 }
        let settings = Setting.merge(durable.settings, wish.settings)
        durable.values = try values(of: settings)
        durable.settings = settings
        store(.subscription(subscription.stored(committed: storage?.committed ?? 0)))
        // They may be handed more now.
        unsettle(subscription)
        return 0
    }

    private func seekSubscription(_ wish: Administer, _ session: Session) throws(AdministrationFault) -> UInt64? {
        let subscription = try subscription(wish)
        guard let start = wish.start else {
            throw AdministrationFault(.invalidSetting, "where should subscription \(wish.key) begin?")
        }
        try check(start, subscription.filter)
        guard begin(subscription, at: start, for: Wisher(session: session, request: wish.request)) else { return nil }
        store(.subscription(subscription.stored(committed: storage?.committed ?? 0)))
        return 0
    }

    /// Begins at a place that only the store can find; the answer moves the subscription, and answers who asked.
    func seek(_ reader: CatchUp.Reader, to start: Start, for wish: Wisher? = nil) {
        guard let storage, let catchUp = reader.catchUp else { return }
        let number = storage.nextRead
        storage.nextRead += 1
        storage.seeks[number] = Seek(reader: reader, wish: wish)
        catchUp.await(number, committed: storage.committed)
        emit(
            .seek(
                SeekOrder(
                    number: number, topics: storedTopics(matching: reader.filter), start: start,
                    committed: storage.committed)))
    }

    /// The store found where to begin.
    func found(_ number: UInt64, _ cursor: StoredCursor) {
        guard let seek = storage?.seeks.removeValue(forKey: number) else { return }
        guard let catchUp = seek.reader.catchUp, catchUp.seek == number else {
            guard let wish = seek.wish else { return }
            return refuse(
                wish.session, .administer, request: UInt64(wish.request), .unknownName,
                "the subscription was moved or deleted meanwhile")
        }
        let before = storage?.nextTicket
        switch seek.reader {
        case .durable(let subscription):
            guard let durable = subscription.durable, let storage else { return }
            move(subscription, durable, to: cursor)
            store(.cursor(subscription: durable.number, subscription.cursor(committed: storage.committed)))
        case .ephemeral:
            catchUp.reset(cursor)
            readOn(seek.reader)
        }
        if let wish = seek.wish { answer(wish.request, wish.session, 1, since: before) }
    }
}

/// Who is to be answered when something is done.
struct Wisher {
    let session: Session
    let request: UInt32
}

/// A place that is looked for.
struct Seek {
    let reader: CatchUp.Reader
    /// Who asked for it by administration.
    let wish: Wisher?
}

/// What became of a wish that the store was asked about.
public enum AdministrationOutcome: Sendable {
    /// It is done, and touched so many things.
    case done(UInt64)
    /// It can't be done.
    case refused(Reason, String)
    /// These letters are to be tried again.
    case redriven([FoundDeadLetter])
    /// These letters are to be forgotten.
    case dropped([FoundDeadLetter])
    /// These wait to be published, and shall not.
    case scheduled([StoredScheduled])
}

extension Subscription {
    /// As it lies in the store.
    func stored(committed: UInt64) -> StoredSubscription {
        guard let durable else { preconditionFailure("only durable subscriptions are stored") }
        return StoredSubscription(
            number: durable.number, name: durable.name, filter: filter, mode: mode, settings: durable.settings,
            uid: durable.uid, created: durable.created, attended: durable.attended, cursor: cursor(committed: committed)
        )
    }
}
