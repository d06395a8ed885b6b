import BusCrypto
import BusTesting
import BusWire
import Glibc
import Testing

@testable import BusServer

@Suite struct KeysTests {
    private let directory: TemporaryDirectory
    private var path: String { directory.path + "/state" }

    init() throws { directory = try TemporaryDirectory() }

    private func check(_ keys: Keys, _ topic: String = "billing.invoice") throws -> KeyCheck {
        let topic = try Topic(topic)
        return try keys.secret(of: topic, epoch: 1)
            .sealGrant(salt: SealSalt([UInt8](repeating: 1, count: 32)), topic: topic.bytes, epoch: 1).keyCheck
    }

    @Test func `seal numbers never come again, however a life ends`() throws {
        var highest: UInt64 = 0
        for life in 0..<5 {
            let keys = Keys(try StateDirectory(path: path))
            #expect(keys.firstSeal > highest)
            // One life opens none, one a few, one more than a block.
            let opened = [0, 3, 1 << 20, (3 << 20) + 1, 1][life]
            for seal in keys.firstSeal..<keys.firstSeal + UInt64(opened) { try keys.promise(seal) }
            highest = keys.firstSeal + UInt64(opened) - 1
            // Nothing is written at the end: a crash is like any other end.
            keys.unlock()
        }
    }

    @Test func `what can't be written is promised to nobody, and asked for again`() throws {
        let keys = Keys(try StateDirectory(path: path))
        // Where the keyring is written before it is renamed.
        try #require(mkdir(path + "/keyring.new", 0o700) == 0)
        for seal in keys.firstSeal..<keys.firstSeal + 3 {
            #expect(throws: ServerError.self) { try keys.promise(seal) }
        }
        rmdir(path + "/keyring.new")
        try keys.promise(keys.firstSeal + 3)
        keys.unlock()
        #expect(Keys(try StateDirectory(path: path)).firstSeal > keys.firstSeal + 3)
    }

    @Test func `a topic's secret is the same in the next life`() throws {
        let first = try { try check(Keys(try StateDirectory(path: path))) }()
        let second = try check(Keys(try StateDirectory(path: path)))
        #expect(first == second)
    }

    @Test func `topics, namespaces and epochs have secrets of their own`() throws {
        let keys = Keys(try StateDirectory(path: path))
        let all = try ["billing.invoice", "billing.order", "orders.invoice"].map { try check(keys, $0) }
        #expect(all[0] != all[1] && all[0] != all[2] && all[1] != all[2])
        let topic = try Topic("billing.invoice")
        let later = try keys.secret(of: topic, epoch: 2)
            .sealGrant(salt: SealSalt([UInt8](repeating: 1, count: 32)), topic: topic.bytes, epoch: 1).keyCheck
        #expect(later != all[0])
    }

    @Test func `a namespace's secret doesn't unwrap under another root key, namespace or epoch`() throws {
        let root = try RootKey.random()
        let secret = try NamespaceSecret.random()
        let wrapped = try root.wrap(secret, namespace: [1], epoch: 1)
        _ = try root.unwrap(wrapped, namespace: [1], epoch: 1)
        #expect(throws: CryptoError.self) { try RootKey.random().unwrap(wrapped, namespace: [1], epoch: 1) }
        #expect(throws: CryptoError.self) { try root.unwrap(wrapped, namespace: [2], epoch: 1) }
        #expect(throws: CryptoError.self) { try root.unwrap(wrapped, namespace: [1], epoch: 2) }
    }

    @Test func `a wrapped secret that was changed is refused`() throws {
        _ = try check(Keys(try StateDirectory(path: path)))
        var state = try StateDirectory(path: path)
        let entry = try #require(state.keyring.wrapped.keys.first)
        state.keyring.wrapped[entry]?[20] ^= 1
        let keys = Keys(state)
        #expect(throws: CryptoError.self) { try check(keys) }
    }
}
