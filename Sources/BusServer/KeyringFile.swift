// The keyring as text, so that a person can see which key it wants without a tool.
//
//   localbus keyring 1
//   key-id 0123456789abcdef
//   next-seal 1048577
//   namespace 6d657472696373 epoch 1 wrapped 3f…
//   check 89abcdef01234567
//
// The last line tells a file that was cut off or changed by accident: a lost digit of a seal number would let numbers
// come again, a lost line would let a new secret take a known one's place. Wrapped secrets have a tag of their own.

import BusCrypto

struct KeyringFile {
    struct Entry: Hashable {
        let namespace: [UInt8]
        let epoch: UInt32
    }

    /// The root key that its secrets are wrapped under.
    let keyID: RootKeyID
    /// No seal number from here on was ever given out.
    var nextSeal: UInt64 = 1
    /// Wrapped namespace secrets.
    var wrapped: [Entry: [UInt8]] = [:]

    private static let title = "localbus keyring 1"
    /// Namespaces and epochs one keyring holds: each is a directory of a service's own, and every new one is a write.
    /// Not tuned.
    static let entryCountMax = 16_384
    /// A line has below 700 bytes: whatever is written can be read again.
    private static let lengthMax = 4096 + entryCountMax * 700

    init(keyID: RootKeyID) { self.keyID = keyID }

    /// The keyring in `file`, or nil if there is none.
    init?(_ file: StateFile) throws(ServerError) {
        guard let (bytes, _) = try file.read(lengthMax: KeyringFile.lengthMax) else { return nil }
        let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n")
        func damaged(_ line: Int) -> ServerError {
            .state("\(file.path):\(line + 1) is damaged or written by another version: restore it from a backup")
        }
        guard lines.first == Substring(KeyringFile.title), lines.count >= 4 else { throw damaged(0) }
        guard let id = lines[1].value(after: "key-id ").flatMap(RootKeyID.init) else { throw damaged(1) }
        guard let seal = lines[2].value(after: "next-seal ").flatMap({ UInt64($0) }) else { throw damaged(2) }
        keyID = id
        nextSeal = seal
        for (number, line) in lines.enumerated().dropFirst(3).dropLast() {
            let words = line.split(separator: " ")
            guard words.count == 6, words[0] == "namespace", words[2] == "epoch", words[4] == "wrapped",
                let namespace = [UInt8](hex: words[1]), let epoch = UInt32(words[3]),
                let secret = [UInt8](hex: words[5]), secret.count == RootKey.wrappedCount
            else { throw damaged(number) }
            wrapped[Entry(namespace: namespace, epoch: epoch)] = secret
        }
        guard lines.last == Substring(KeyringFile.check(lines.dropLast())) else { throw damaged(lines.count - 1) }
    }

    /// The file's content.
    var text: [UInt8] {
        var lines = [KeyringFile.title, "key-id \(keyID)", "next-seal \(nextSeal)"]
        let entries = wrapped.map { "namespace \($0.key.namespace.hex) epoch \($0.key.epoch) wrapped \($0.value.hex)" }
        lines += entries.sorted()
        lines.append(KeyringFile.check(lines))
        return Array((lines.joined(separator: "\n") + "\n").utf8)
    }

    /// FNV-1a of the lines, against accidents only.
    private static func check(_ lines: some Sequence<some StringProtocol>) -> String {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for line in lines {
            for byte in Array(line.utf8) + [UInt8(ascii: "\n")] { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
        }
        let digits = String(hash, radix: 16)
        return "check " + String(repeating: "0", count: 16 - digits.utf8.count) + digits
    }
}

extension Substring {
    fileprivate func value(after prefix: String) -> String? {
        hasPrefix(prefix) ? String(dropFirst(prefix.count)) : nil
    }
}

extension [UInt8] {
    /// Two hexadecimal digits a byte.
    var hex: String {
        let digits = Array<UInt8>("0123456789abcdef".utf8)
        return String(decoding: flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }

    /// The bytes that pairs of hexadecimal digits spell, or nil.
    init?(hex text: Substring) {
        let digits = text.utf8.map { Character(UnicodeScalar($0)).hexDigitValue }
        guard digits.count % 2 == 0, !digits.contains(nil) else { return nil }
        let values = digits.compactMap { $0 }
        self = stride(from: 0, to: values.count, by: 2).map { UInt8(values[$0] << 4 | values[$0 + 1]) }
    }
}
