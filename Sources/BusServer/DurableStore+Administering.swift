// What an administrator asks that the store or the system knows how to do: dead letters found by name or id, a copy of
// everything, a look at every row.

import BusBroker
import BusCrypto
import BusStore
import BusWire
import Dispatch
import Glibc
import Synchronization

extension DurableStore {
    func administer(_ session: SessionID, _ wish: Administer) {
        let mailbox = mailbox
        @Sendable func answer(_ outcome: AdministrationOutcome) {
            mailbox.put(.input(.administered(session, request: wish.request, outcome)))
        }
        switch wish.operation {
        case .redriveDead:
            findDead(wish.key) {
                answer($0.map { .redriven($0) } ?? .refused(.unknownName, "there is no dead letter of \(wish.key)"))
            }
        case .dropDead:
            findDead(wish.key) {
                answer($0.map { .dropped($0) } ?? .refused(.unknownName, "there is no dead letter of \(wish.key)"))
            }
        case .cancelScheduled:
            findToCancel(session, wish.key) { answer(.scheduled($0)) }
        case .backup: backup(to: wish.key, withKey: false, answer)
        case .backupWithKey: backup(to: wish.key, withKey: true, answer)
        case .scrub: scrub(from: 0, damaged: 0, answer)
        default: answer(.refused(.notSupported, "\(wish.operation.name) is nothing this daemon does"))
        }
    }

    // MARK: Dead letters

    /// The dead letters of a subscription, or of an event; nil when the key names neither.
    func findDead(_ key: String, _ done: @escaping @Sendable ([FoundDeadLetter]?) -> Void) {
        if let name = try? GroupName(key), let number = broker.durableNumber(name) {
            return collectDead(of: number, at: nil, done)
        }
        guard let id = BusUUID(key) else { return done(nil) }
        store.places(of: id) { [mailbox] result in
            let positions = ((try? result.get()) ?? []).map(\.position)
            guard !positions.isEmpty else { return done(nil) }
            mailbox.put(.work { $0.collectDead(of: nil, at: Set(positions), done) })
        }
    }

    private func collectDead(
        of subscription: UInt64?, at positions: Set<UInt64>?, _ done: @escaping @Sendable ([FoundDeadLetter]?) -> Void
    ) {
        let found = FoundLetters(at: positions)
        collectDead(of: subscription, after: 0, found) {
            let letters = found.all
            done(letters.isEmpty && positions != nil ? nil : letters)
        }
    }

    /// All letters, page by page.
    private func collectDead(
        of subscription: UInt64?, after: UInt64, _ found: FoundLetters, _ done: @escaping @Sendable () -> Void
    ) {
        let page = 1024
        store.deadLetters(of: subscription, after: after, countMax: page) { [mailbox] result in
            let letters = (try? result.get()) ?? []
            found.add(letters)
            guard letters.count == page, let last = letters.last else { return done() }
            mailbox.put(.work { $0.collectDead(of: subscription, after: last.id, found, done) })
        }
    }

    // MARK: Copies and checks

    private func backup(
        to path: String, withKey: Bool, _ answer: @escaping @Sendable (AdministrationOutcome) -> Void
    ) {
        guard path.hasPrefix("/") else {
            return answer(.refused(.invalidSetting, "a backup needs a whole path, beginning with /: '\(path)'"))
        }
        let (store, keyring, key) = (store, keyringPath, withKey ? rootKey : nil)
        // It takes as long as copying does: not on this thread.
        DispatchQueue.global().async {
            do {
                try store.backup(to: path)
                // Wrapped secrets: of no use without the root key, and what is stored is of no use without them. Copied
                // last: whatever the copy has, its secret is there.
                guard let (bytes, _) = try StateFile(path: keyring).read(lengthMax: 64 << 20) else {
                    return answer(.refused(.storeUnavailable, "there is no \(keyring) to be copied"))
                }
                try StateFile(path: path + "/keyring").write(bytes)
                if let key { try StateDirectory.write(key, to: StateFile(path: path + "/root.key")) }
                answer(.done(DurableStore.length(of: path)))
            } catch StoreError.exists(let path) {
                answer(.refused(.invalidSetting, "\(path) is there already: a backup needs a directory of its own"))
            } catch StoreError.directory(path, let errno) where errno == ENOENT {
                let parent = path.split(separator: "/").dropLast().reduce("") { "\($0)/\($1)" }
                answer(
                    .refused(.storeUnavailable, "there is no directory \(parent) for a backup \(path): make it first"))
            } catch {
                answer(.refused(.storeUnavailable, "\(error)"))
            }
        }
    }

    /// Bytes of the files in a directory.
    private static func length(of path: String) -> UInt64 {
        ((try? StateDirectory.entries(of: path)) ?? []).reduce(0) { sum, name in
            var status = stat()
            return stat(path + "/" + name, &status) == 0 ? sum + UInt64(status.st_size) : sum
        }
    }

    private func scrub(
        from place: UInt64, damaged: UInt64, _ answer: @escaping @Sendable (AdministrationOutcome) -> Void
    ) {
        store.scrub(from: place) { [mailbox] result in
            switch result {
            case .success(let report):
                let sum = damaged + UInt64(report.damage.count)
                guard let next = report.next else { return answer(.done(sum)) }
                mailbox.put(.work { $0.scrub(from: next, damaged: sum, answer) })
            case .failure(let error): answer(.refused(.storeUnavailable, error.description))
            }
        }
    }
}

/// Dead letters that are meant, of those that were looked at so far.
private final class FoundLetters: Sendable {
    private let positions: Set<UInt64>?
    private let found = Mutex<[FoundDeadLetter]>([])

    init(at positions: Set<UInt64>?) { self.positions = positions }

    var all: [FoundDeadLetter] { found.withLock { $0 } }

    func add(_ letters: [BusStore.StoredDeadLetter]) {
        // Of a letter of several events only those that are meant.
        let meant = letters.map { BusBroker.StoredDeadLetter($0) }.compactMap { letter in
            positions.map(letter.only) ?? letter
        }
        found.withLock { $0 += meant.map(FoundDeadLetter.init) }
    }
}
