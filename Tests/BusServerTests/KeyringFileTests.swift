import BusCrypto
import BusTesting
import Testing

@testable import BusServer

@Suite struct KeyringFileTests {
    private let directory: TemporaryDirectory
    private var file: StateFile { StateFile(path: directory.path + "/keyring") }

    init() throws { directory = try TemporaryDirectory() }

    private var sample: KeyringFile {
        var keyring = KeyringFile(keyID: RootKeyID(rawValue: 0x0123_4567_89ab_cdef))
        keyring.nextSeal = 1_048_577
        for epoch in 1...3 {
            let entry = KeyringFile.Entry(namespace: Array("metrics".utf8), epoch: UInt32(epoch))
            keyring.wrapped[entry] = [UInt8](repeating: UInt8(epoch), count: RootKey.wrappedCount)
        }
        return keyring
    }

    @Test func `what is written is read again`() throws {
        try file.write(sample.text)
        let read = try #require(try KeyringFile(file))
        #expect(read.keyID == sample.keyID)
        #expect(read.nextSeal == sample.nextSeal)
        #expect(read.wrapped == sample.wrapped)
        #expect(read.text == sample.text)
    }

    @Test func `no file is no keyring`() throws {
        #expect(try KeyringFile(file) == nil)
    }

    @Test func `damage in any line is told with its number`() throws {
        let lines = String(decoding: sample.text, as: UTF8.self).split(separator: "\n").map(String.init)
        #expect(lines.count == 7)
        for number in lines.indices {
            for damage in ["", "x", String(lines[number].dropLast()), lines[number] + " y"] {
                var changed = lines
                changed[number] = damage
                try file.write(Array(changed.joined(separator: "\n").utf8))
                #expect { try KeyringFile(file) } throws: { error in
                    "\(error)".contains("/keyring:") && "\(error)".contains("damaged")
                }
            }
            var changed = lines
            changed[number] = "x" + lines[number]
            try file.write(Array(changed.joined(separator: "\n").utf8))
            #expect { try KeyringFile(file) } throws: { "\($0)".contains("/keyring:\(number + 1) ") }
        }
    }

    @Test func `a file cut off anywhere is refused`() throws {
        let text = sample.text
        for length in stride(from: 0, to: text.count - 1, by: 7) {
            try file.write(Array(text.prefix(length)))
            #expect(throws: ServerError.self, "\(length)") { try KeyringFile(file) }
        }
    }
}
