import Testing

@testable import BusCrypto

@Suite struct OpenerTests {
    @Test("Batches sealed by another implementation open, at counters near and far")
    func knownBatches() throws {
        let opener = try Known.opener()
        let batches = [
            (KnownAnswers.batchAtZero, 0), (KnownAnswers.batchAtOne, 1),
            (KnownAnswers.batchAtFarCounter, KnownAnswers.farCounter),
        ]
        for (sealed, counter) in batches {
            let opened = try opener.open(sealed, counter: counter, header: KnownAnswers.batchHeader)
            #expect(opened == KnownAnswers.batchBody)
        }
    }

    @Test("No bit of header, body or tag can be flipped")
    func everyBit() throws {
        let opener = try Known.opener()
        let (header, sealed) = (KnownAnswers.batchHeader, KnownAnswers.batchAtZero)
        var tried = 0
        for bit in 0..<(header.count + sealed.count) * 8 {
            var bytes = header + sealed
            bytes[bit / 8] ^= 1 << (bit % 8)
            let error = refusal { () throws(CryptoError) in
                _ = try opener.open(
                    [UInt8](bytes[header.count...]), counter: 0, header: [UInt8](bytes[..<header.count]))
            }
            #expect(error == .unopenable, "bit \(bit)")
            tried += 1
        }
        #expect(tried == (6 + 5 + 16) * 8)
    }

    @Test("No byte can be cut off or moved between header and body")
    func cuts() throws {
        let opener = try Known.opener()
        let (header, sealed) = (KnownAnswers.batchHeader, KnownAnswers.batchAtZero)
        for count in 0..<sealed.count {
            let error = refusal { () throws(CryptoError) in
                _ = try opener.open([UInt8](sealed[..<count]), counter: 0, header: header)
            }
            #expect(error == .unopenable, "\(count) bytes")
        }
        let moved = refusal { () throws(CryptoError) in
            _ = try opener.open([header[5]] + sealed, counter: 0, header: [UInt8](header[..<5]))
        }
        #expect(moved == .unopenable)
    }

    @Test("Another counter does not open", arguments: [1, 2, 1 << 32, UInt64.max])
    func wrongCounter(counter: UInt64) throws {
        let opener = try Known.opener()
        let error = refusal { () throws(CryptoError) in
            _ = try opener.open(KnownAnswers.batchAtZero, counter: counter, header: KnownAnswers.batchHeader)
        }
        #expect(error == .unopenable)
    }

    @Test("Output stays as it was when a batch does not open")
    func untouchedOutput() throws {
        let opener = try Known.opener()
        var output = [UInt8](repeating: 7, count: 5)
        var error: CryptoError?
        output.withUnsafeMutableBytes { output in
            error = refusal { () throws(CryptoError) in
                try lend(KnownAnswers.batchAtOne) { (sealed) throws(CryptoError) in
                    try opener.open(counter: 0, authenticating: sealed, sealed: sealed, into: output)
                }
            }
        }
        #expect(error == .unopenable)
        #expect(output == [7, 7, 7, 7, 7])
    }

    @Test("Output of another size is refused, whatever a peer sent", arguments: [0, 4, 6])
    func outputSize(count: Int) throws {
        let opener = try Known.opener()
        let error = refusal { () throws(CryptoError) in
            _ = try written(count: count) { (output) throws(CryptoError) in
                try lend(KnownAnswers.batchAtZero) { (sealed) throws(CryptoError) in
                    try opener.open(counter: 0, authenticating: sealed, sealed: sealed, into: output)
                }
            }
        }
        #expect(error == .wrongLength)
    }

    @Test("Another salt, topic, epoch, secret or check is found before a batch is opened")
    func keyCheck() throws {
        let secret = try Known.topicSecret()
        let salt = try SealSalt(KnownAnswers.salt)
        let check = try Known.sealGrant().keyCheck
        let (topic, epoch) = (KnownAnswers.topic, KnownAnswers.epoch)
        var flipped = check.bytes
        flipped[15] ^= 1
        let refusals = try [
            openerRefusal(TopicSecret(SecretBytes(randomCount: 32)), salt, topic, epoch, check),
            openerRefusal(secret, .random(), topic, epoch, check),
            openerRefusal(secret, salt, topic + [0], epoch, check),
            openerRefusal(secret, salt, topic, epoch + 1, check),
            openerRefusal(secret, salt, topic, epoch, KeyCheck(flipped)),
        ]
        #expect(refusals == [CryptoError?](repeating: .keyCheckMismatch, count: 5))
        #expect(openerRefusal(secret, salt, topic, epoch, check) == nil)
    }

    @Test(
        "Batches of sizes up to and beyond what fits the stack open again",
        arguments: [0, 1, 142, 980, 996, 9_216, 300_000])
    func sizes(count: Int) throws {
        var sealer = try Sealer(Known.sealGrant())
        let body = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        let sealed = try sealer.seal(body, header: [1, 2, 3])
        let opened = try Known.opener().open(sealed, counter: 0, header: [1, 2, 3])
        #expect(opened == body)
    }

    private func openerRefusal(
        _ secret: TopicSecret, _ salt: SealSalt, _ topic: [UInt8], _ epoch: UInt32, _ check: KeyCheck
    ) -> CryptoError? {
        refusal { () throws(CryptoError) in
            _ = try Opener(secret: secret, salt: salt, topic: topic, epoch: epoch, keyCheck: check)
        }
    }
}
