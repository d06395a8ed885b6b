import Testing

@testable import BusCrypto

@Suite struct RootKeyTests {
    @Test("The id is the known one")
    func id() throws {
        #expect(try Known.root().id.description == KnownAnswers.rootKeyID)
    }

    @Test("A secret wrapped by another implementation unwraps")
    func knownWrapping() throws {
        let secret = try Known.root().unwrap(
            KnownAnswers.wrapped, namespace: KnownAnswers.namespace, epoch: KnownAnswers.epoch)
        #expect(try secret.withUnsafeBytes { [UInt8]($0) } == KnownAnswers.namespaceSecret)
    }

    @Test("Wrapping twice gives different bytes, and both unwrap")
    func roundTrip() throws {
        let root = try RootKey.random()
        let secret = try NamespaceSecret.random()
        let one = try root.wrap(secret, namespace: [1, 2], epoch: 1)
        let other = try root.wrap(secret, namespace: [1, 2], epoch: 1)
        #expect(one != other)
        #expect(one.count == RootKey.wrappedCount)
        for wrapped in [one, other] {
            let unwrapped = try root.unwrap(wrapped, namespace: [1, 2], epoch: 1)
            #expect(try unwrapped.secret.copied() == secret.secret.copied())
        }
    }

    @Test("Another root key, namespace or epoch does not unwrap, nor does any flipped bit")
    func bindings() throws {
        let root = try RootKey.random()
        let wrapped = try root.wrap(.random(), namespace: [1, 2], epoch: 1)
        let refusals = try [
            unwrapRefusal(.random(), wrapped, [1, 2], 1), unwrapRefusal(root, wrapped, [1], 1),
            unwrapRefusal(root, wrapped, [1, 2], 2),
        ]
        #expect(refusals == [.unopenable, .unopenable, .unopenable])
        for bit in 0..<wrapped.count * 8 {
            var damaged = wrapped
            damaged[bit / 8] ^= 1 << (bit % 8)
            #expect(unwrapRefusal(root, damaged, [1, 2], 1) == .unopenable)
        }
    }

    @Test("A machine's mark depends on the machine and on the key")
    func machineMarks() throws {
        let (root, other) = (try RootKey.random(), try RootKey.random())
        let mark = try root.mark(ofMachine: [1, 2, 3])
        #expect(mark.count == 8)
        #expect(try root.mark(ofMachine: [1, 2, 3]) == mark)
        #expect(try root.mark(ofMachine: [1, 2, 4]) != mark)
        #expect(try other.mark(ofMachine: [1, 2, 3]) != mark)
    }

    @Test("A wrapped secret or key of another length is refused")
    func lengths() throws {
        let root = try RootKey.random()
        #expect(unwrapRefusal(root, [UInt8](repeating: 0, count: 59), [], 0) == .wrongLength)
        #expect(unwrapRefusal(root, [UInt8](repeating: 0, count: 61), [], 0) == .wrongLength)
        for count in [0, 31, 33, 64, 65] {
            let error = refusal { () throws(CryptoError) in
                _ = try lend([UInt8](repeating: 0, count: count)) { (bytes) throws(CryptoError) in try RootKey(bytes) }
            }
            #expect(error == .wrongLength)
        }
    }

    @Test("The bytes lent are those given")
    func bytes() throws {
        #expect(try Known.root().withUnsafeBytes { [UInt8]($0) } == KnownAnswers.root)
    }

    private func unwrapRefusal(
        _ root: RootKey, _ wrapped: [UInt8], _ namespace: [UInt8], _ epoch: UInt32
    ) -> CryptoError? {
        refusal { () throws(CryptoError) in _ = try root.unwrap(wrapped, namespace: namespace, epoch: epoch) }
    }
}
