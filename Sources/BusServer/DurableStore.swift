// The store's place in the daemon: carries out what the broker asks of it, and hands the broker what comes of it as
// inputs. The broker's records and the store's are alike and not the same: neither room knows the other, this one knows
// both (DurableStore+Records.swift).
//
// Writes are gathered while effects are carried out and submitted at the end of it, so that a round is one commit at
// most. Results come through a mailbox into the first part of a round.

import BusBroker
import BusCrypto
import BusStore
import BusTransport
import BusWire
import Glibc
import Logging

/// A store, as the server uses it. Confined to the reactor.
final class DurableStore {
    /// What comes from the store's threads.
    enum Arrival: Sendable {
        case committed(Committed)
        case input(Input)
        case work(@Sendable (DurableStore) -> Void)
        case damaged(StoreDamage)
        case failed(StoreError)
    }

    let store: Store
    let log: Logger
    let mailbox: ReactorMailbox<Arrival>
    private var watch: DescriptorWatch?
    private var pending: [BusStore.StoreWrite] = []
    private var submittedTickets: UInt64 = 0
    /// What to do when the store can't go on.
    var onFailure: (StoreError) -> Void = { _ in }
    /// What to do with what comes.
    var onInput: (Input) -> Void = { _ in }
    /// What the broker knows, for traces and dead letters.
    unowned let broker: Broker
    let bytesMax: UInt64
    /// What was found damaged, for `bus status`.
    private(set) var damageCount: UInt64 = 0
    private(set) var lastDamage = ""
    /// Whether more than four fifths of its room are used.
    private var isTight = false
    /// What is to be said of the machine.
    private let machineWarning: String?

    /// Opens the store in the state directory. Blocks.
    init(
        _ state: String, bounds: StoreBounds, rootKey: RootKey, broker: Broker, log: Logger
    ) throws(ServerError) {
        let mailbox = try ReactorMailbox<Arrival>()
        var options = StoreOptions(directory: state)
        options.bytesMax = DurableStore.bytesMax(state, bounds)
        bytesMax = options.bytesMax
        self.mailbox = mailbox
        keyringPath = state + "/keyring"
        self.rootKey = rootKey
        self.broker = broker
        self.bounds = bounds
        self.log = log
        machineWarning = try MachineMark(state: state).warning(rootKey)
        do throws(StoreError) {
            store = try Store(
                options, onCommit: { mailbox.put(.committed($0)) }, onDamage: { mailbox.put(.damaged($0)) },
                onFailure: { mailbox.put(.failed($0)) })
            for damage in store.report.damage { note(damage) }
            if let machineWarning { log.warning("\(machineWarning)") }
        } catch {
            throw .store(error)
        }
    }

    private static func bytesMax(_ state: String, _ bounds: StoreBounds) -> UInt64 {
        var status = statvfs()
        guard statvfs(state, &status) == 0 else { return UInt64(bounds.lengthMax ?? 4 << 30) }
        let length = Int64(clamping: UInt64(status.f_blocks) &* UInt64(status.f_frsize))
        return UInt64(bounds.lengthMax(onFileSystemOf: length))
    }

    /// Takes what comes from now on.
    func start(on reactor: Reactor) throws(ServerError) {
        watch = try mailbox.watch(on: reactor) { [weak self] arrivals in
            guard let self else { return }
            for arrival in arrivals { take(arrival) }
        }
    }

    /// Writes what waits, and closes. Blocks.
    func close() {
        flush()
        watch?.cancel()
        watch = nil
        do throws(StoreError) { try store.close() } catch { log.error("closing the store: \(error)") }
    }

    private func take(_ arrival: Arrival) {
        switch arrival {
        case .committed(let commit):
            watch(commit.bytesUsed)
            onInput(.stored(StoreCommit(commit)))
        case .input(let input): onInput(input)
        case .work(let work): work(self)
        case .damaged(let damage): note(damage)
        case .failed(let error): onFailure(error)
        }
    }

    private func note(_ damage: StoreDamage) {
        damageCount += 1
        lastDamage = damage.description
        log.error("damage in the store: \(damage.description)")
        warn()
    }

    /// Warns once when four fifths of the room are used, and again after there was room in between.
    private func watch(_ bytesUsed: UInt64) {
        let isTight = isTight ? bytesUsed > bytesMax / 4 * 3 : bytesUsed > bytesMax / 5 * 4
        guard isTight != self.isTight else { return }
        self.isTight = isTight
        if isTight {
            log.warning("the store uses \(bytesUsed) of \(bytesMax) bytes: purge a topic, or raise `store: max-bytes`")
        } else {
            log.notice("the store has room again: \(bytesUsed) of \(bytesMax) bytes are used")
        }
        warn()
    }

    /// Has `bus status` show what is wrong.
    func warn() {
        var warnings: [String] = []
        if damageCount > 0 { warnings.append("\(damageCount) damaged, last: \(lastDamage)") }
        if isTight { warnings.append("more than 80 % used") }
        if let machineWarning { warnings.append(machineWarning) }
        broker.warn(ofStore: warnings.joined(separator: "; "))
    }

    // MARK: Writing

    /// Takes a write to be submitted with the others of its round.
    func put(_ ticket: UInt64, _ write: BusBroker.StoreWrite) {
        if case .topic(let number, let name) = write { names[number] = name }
        pending.append(translate(write))
        submittedTickets += 1
        // One write, one ticket, in one order on both sides.
        precondition(
            ticket == submittedTickets, "a ticket of another write would have something receipted that isn't on disk")
    }

    /// Hands everything that waits to the writer.
    func flush() {
        guard !pending.isEmpty else { return }
        _ = store.submit(pending)
        pending.removeAll(keepingCapacity: true)
    }

    /// The keyring, which a backup needs, too.
    let keyringPath: String
    /// What a backup takes along where that was asked for.
    let rootKey: RootKey
    /// Topics' names, as far as they were told.
    var names: [UInt64: Topic] = [:]
    /// What dead letters may take.
    let bounds: StoreBounds
    /// What dead letters take, while they are being looked at.
    var deadTally: DeadLetterTally?
}
