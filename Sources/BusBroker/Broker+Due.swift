// What waited and is due is published as if it came now, under its publisher's name: read in pages, in the order in which
// it is due, and published by one write of the store that ends its waiting, too. What can't be published waits on, and
// holds up only what the same user left for later on the same topic.

import BusWire

extension Broker {
    /// How much of what is due is read at once. Not tuned.
    private static let duePage = (eventCount: 256, length: 4 << 20)

    /// Asks for what is due, or notes when to look again.
    func lookForDue() {
        guard let storage else { return }
        storage.schedule.clock.advance(to: now)
        storage.schedule.deadline = nil
        // Nothing is read while it is on its way: it would be there still.
        guard draining == nil, storage.schedule.moving.isEmpty else { return }
        let time = storage.schedule.clock.now
        switch storage.schedule.walk.step(time, at: now.monotonic) {
        case .rest: break
        case .wait(let moment): storage.schedule.deadline = moment
        case .read(let place):
            emit(
                .readDue(
                    DueOrder(
                        time: time, after: place, eventCountMax: Broker.duePage.eventCount,
                        lengthMax: Broker.duePage.length)))
        }
    }

    /// What is due was read.
    func took(_ page: DuePage) {
        guard let storage else { return }
        storage.schedule.walk.took(upTo: page.end, following: page.next)
        storage.schedule.deadline = now.monotonic
        for event in page.events where storage.schedule.cancelled[event.number] == nil {
            // Going down: it is published after the next start.
            guard draining == nil, !storage.schedule.walk.isHeld(topic: event.topic, uid: event.uid),
                publish(event, page.seals[event.seal], storage)
            else {
                storage.schedule.walk.leave(due: event.due, topic: event.topic, uid: event.uid)
                continue
            }
        }
        storage.schedule.cancelled = storage.schedule.cancelled.filter { !$0.value }
    }

    /// Publishes an event that is due; false where it has to wait.
    private func publish(_ event: StoredScheduled, _ stored: StoredSeal?, _ storage: Storage) -> Bool {
        guard let topic = storage.topics[event.topic], let stored, let batch = try? SealedBatch(event.bytes) else {
            setAside(event)
            return true
        }
        let (seal, length) = (seal(stored, topic), UInt64(batch.bytes.count))
        // Its user's stored bytes don't become more by it, and so don't matter.
        guard storage.bytesUsed + storage.bytesUnderWay + length < storage.bytesMax else { return false }
        let retains = event.retains || topic.retainsAll
        if retains {
            let check = Result { () throws(PublishRefusal) in
                try checkRetention(batch, isTombstone: event.isTombstone, topic, seal.account)
            }
            guard case .success = check else { return false }
        }
        storage.schedule.moving.insert(event.number)
        handOver(event, topic)
        let (ticket, accepted) = append(batch, under: seal, scheduled: event.number)
        let pending = PendingPublish(
            number: 0, wantsReceipt: false, isPatient: false, retains: retains, isTombstone: event.isTombstone,
            batch: accepted, storeNumber: event.topic)
        complete(ticket, .due(pending, event))
        keepLastValue(of: pending)
        return true
    }

    /// It is published, on disk.
    func published(_ event: StoredScheduled, _ pending: PendingPublish) {
        storage?.schedule.moving.remove(event.number)
        storage?.schedule.left(event.number)
        storage?.schedule.deadline = now.monotonic
        // Its bytes were handed over.
        release(Waiting(count: 1), event.uid, pending.batch.seal.topic, event.topic)
        happen(pending) { _ in }
    }

    /// The store had no room for it.
    func notPublished(_ event: StoredScheduled) {
        guard let storage else { return }
        storage.schedule.moving.remove(event.number)
        storage.schedule.deadline = now.monotonic
        storage.schedule.walk.leave(due: event.due, topic: event.topic, uid: event.uid)
        if let topic = storage.topics[event.topic] { handOver(event, topic, isBack: true) }
    }

    // MARK: Damage

    /// An event whose topic is damaged or isn't there, or whose seal is, can be published and opened by nobody: it is put
    /// aside, and told as what is damaged. Of a topic that was deleted it went with that, and there is nothing to put aside.
    func setAside(_ event: StoredScheduled) {
        guard let storage else { return }
        let topic = storage.topics[event.topic]
        if storage.schedule.moving.remove(event.number) != nil, let topic { handOver(event, topic, isBack: true) }
        storage.schedule.cancelled[event.number] = false
        complete(store(.setAsideScheduled(event.number)), .unscheduled(event, topic))
    }

    /// The store put an event aside. What is on its way to be taken back, or to be put aside, is let go of there.
    func wasSetAside(_ row: SetAsideScheduled) {
        guard let storage, storage.schedule.cancelled[row.number] == nil, !storage.schedule.moving.contains(row.number)
        else { return }
        if let topic = storage.topics[row.topic] {
            release(Waiting(count: 1, length: row.length), row.uid, topic, row.topic)
        }
        storage.schedule.left(row.number)
        // What is read at this moment may still have it.
        if storage.schedule.walk.isReading { storage.schedule.cancelled[row.number] = true }
    }
}
