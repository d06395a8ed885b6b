import Glibc
import Testing

@testable import BusCrypto

@Suite struct SealerTests {
    @Test("The first two batches are the known ones, and the counter is told before each")
    func knownBatches() throws {
        var sealer = try Sealer(Known.sealGrant())
        let counters: (UInt64, UInt64, UInt64)
        counters.0 = sealer.nextCounter
        let first = try sealer.seal(KnownAnswers.batchBody, header: KnownAnswers.batchHeader)
        counters.1 = sealer.nextCounter
        let second = try sealer.seal(KnownAnswers.batchBody, header: KnownAnswers.batchHeader)
        counters.2 = sealer.nextCounter
        #expect(first == KnownAnswers.batchAtZero)
        #expect(second == KnownAnswers.batchAtOne)
        #expect(counters == (0, 1, 2))
    }

    @Test("A seal refuses at its limit of batches, again and again, and does not count on")
    func exhaustion() throws {
        var sealer = try Sealer(Known.sealGrant(), limits: SealLimits(batchesMax: 4))
        var renewals: [Bool] = []
        for _ in 0..<4 {
            renewals.append(sealer.shouldBeRenewed)
            _ = try sealer.seal([1], header: [])
        }
        #expect(renewals == [false, false, true, true])
        for _ in 0..<2 {
            let error = refusal { () throws(CryptoError) in _ = try sealer.seal([1], header: []) }
            #expect(error == .sealExhausted)
        }
        let counter = sealer.nextCounter
        #expect(counter == 4)
    }

    @Test("A seal refuses at its limit of blocks")
    func blockExhaustion() throws {
        var sealer = try Sealer(Known.sealGrant(), limits: SealLimits(blocksMax: 3))
        let error = refusal { () throws(CryptoError) in
            _ = try sealer.seal([UInt8](repeating: 0, count: 48), header: [])
        }
        #expect(error == .sealExhausted)
        _ = try sealer.seal([UInt8](repeating: 0, count: 32), header: [])
    }

    @Test("The same batch never seals to the same bytes")
    func distinctBatches() throws {
        var sealer = try Sealer(Known.sealGrant())
        var seen: Set<[UInt8]> = []
        for _ in 0..<2_000 { seen.insert(try sealer.seal([UInt8](repeating: 0, count: 16), header: [])) }
        #expect(seen.count == 2_000)
    }

    @Test("A forked child can neither seal, open, wrap nor grant, and its parent goes on")
    func fork() throws {
        // Swift hides `fork`, since a child may do little; this one only asks and leaves.
        let symbol = try #require(dlsym(nil, "fork"))
        let fork = unsafeBitCast(symbol, to: (@convention(c) () -> pid_t).self)
        var sealer = try Sealer(Known.sealGrant())
        var keys = try Known.serverKeys()
        let opener = try Known.opener()
        let root = try RootKey.random()
        let secret = try NamespaceSecret.random()
        let raw = try root.withUnsafeBytes { $0 }

        // Once before, so that the child meets no code that the runtime still has to prepare under a lock.
        let before = refusals(&sealer, opener, root, secret, &keys)
        #expect(before == [nil, nil, nil, nil, nil])

        let child = fork()
        if child == 0 {
            let inChild = refusals(&sealer, opener, root, secret, &keys)
            let isWiped = raw.allSatisfy { $0 == 0 }
            let allForked = inChild.allSatisfy { $0 == .forked }
            _exit(allForked && isWiped ? 42 : 1)
        }
        var status: Int32 = 0
        while waitpid(child, &status, 0) == -1 && errno == EINTR {}
        #expect(status == 42 << 8)

        let after = refusals(&sealer, opener, root, secret, &keys)
        #expect(after == [nil, nil, nil, nil, nil])
    }

    private func refusals(
        _ sealer: inout Sealer, _ opener: Opener, _ root: RootKey, _ secret: NamespaceSecret,
        _ keys: inout ConnectionKeys
    ) -> [CryptoError?] {
        [
            refusal { () throws(CryptoError) in _ = try sealer.seal([1], header: [2]) },
            refusal { () throws(CryptoError) in
                _ = try opener.open(KnownAnswers.batchAtOne, counter: 1, header: KnownAnswers.batchHeader)
            },
            refusal { () throws(CryptoError) in _ = try root.wrap(secret, namespace: [], epoch: 0) },
            refusal { () throws(CryptoError) in
                _ = try lend([1]) { (bytes) throws(CryptoError) in try keys.sealGrant(bytes, authenticating: []) }
            },
            refusal { () throws(CryptoError) in _ = try HandshakeKey() },
        ]
    }
}
