// The daemon's keys at work: a namespace's secret is made when its first topic is opened, kept wrapped on disk and
// bare in locked memory; topic secrets are derived when they are granted, and none but the last is kept.

import BusCrypto
import BusWire

/// Why a secret can't be had.
enum KeysFault: Error, CustomStringConvertible {
    /// The keyring holds as many namespaces as it may.
    case namespacesExhausted

    var description: String {
        "the keyring holds \(KeyringFile.entryCountMax) namespaces, the most it may: use fewer first tokens"
    }
}

/// Owner of the state directory's secrets.
final class Keys {
    private var state: StateDirectory
    private var secrets: [KeyringFile.Entry: NamespaceSecret] = [:]

    /// Seal numbers are promised to the disk in blocks, so that opening a seal needs no write: a crash loses at most
    /// the rest of a block, and 2^64 have room for that.
    private static let sealBlock: UInt64 = 1 << 20
    private var sealsPromised: UInt64
    /// The topic secret derived last: it is granted to several mostly, and to its publisher's seal before.
    private var recent: (topic: Topic, epoch: UInt32, secret: TopicSecret)?

    /// The first seal number this life of the daemon may give out.
    let firstSeal: UInt64

    /// Promises nothing yet: a daemon starts where nothing can be written, to let go of what fills the disk.
    init(_ state: consuming StateDirectory) {
        firstSeal = state.keyring.nextSeal
        sealsPromised = firstSeal
        self.state = state
    }

    /// Makes sure that `seal` is promised before it is told to anyone. Where that can't be written, it isn't, and the next
    /// seal asks again.
    func promise(_ seal: UInt64) throws(ServerError) {
        guard seal >= sealsPromised else { return }
        let promised = seal + Keys.sealBlock
        state.keyring.nextSeal = promised
        try state.save()
        sealsPromised = promised
    }

    /// The secret that a topic's subscribers are granted.
    func secret(of topic: Topic, epoch: UInt32) throws -> TopicSecret {
        if let recent, recent.topic == topic, recent.epoch == epoch { return recent.secret }
        let entry = KeyringFile.Entry(namespace: Array(topic.namespace), epoch: epoch)
        let secret = try namespaceSecret(entry).topicSecret(topic: topic.bytes)
        recent = (topic, epoch, secret)
        return secret
    }

    private func namespaceSecret(_ entry: KeyringFile.Entry) throws -> NamespaceSecret {
        if let secret = secrets[entry] { return secret }
        let secret: NamespaceSecret
        if let wrapped = state.keyring.wrapped[entry] {
            secret = try state.rootKey.unwrap(wrapped, namespace: entry.namespace, epoch: entry.epoch)
        } else {
            guard state.keyring.wrapped.count < KeyringFile.entryCountMax else {
                throw KeysFault.namespacesExhausted
            }
            secret = try NamespaceSecret.random()
            let wrapped = try state.rootKey.wrap(secret, namespace: entry.namespace, epoch: entry.epoch)
            state.keyring.wrapped[entry] = wrapped
            do {
                try state.save()
            } catch {
                // Not on disk, so not in use either: the next attempt makes a new one.
                state.keyring.wrapped[entry] = nil
                throw error
            }
        }
        secrets[entry] = secret
        return secret
    }

    func unlock() {
        recent = nil
        state.unlock()
    }
}
