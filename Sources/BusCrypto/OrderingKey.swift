// The ordering key as the daemon sees it: a number that is the same for the same key on the same topic.
//
// Not keyed by a secret: a publisher is granted its own seal's material and nothing that all publishers of a topic have
// in common. Whoever reads the number can try keys that are easy to guess; docs/SECURITY.md says so.

import Crypto

/// The hash of an ordering key.
///
///     SHA-256(fields("localbus ordering key", topic, key)), its first 8 bytes little-endian; 1 for 0
public enum OrderingKey {
    /// The number for a key on a topic; never zero, which stands for none.
    ///
    /// - Throws: `.fieldTooLong` for a topic or key above 65,535 bytes.
    public static func hash(_ key: [UInt8], topic: [UInt8]) throws(CryptoError) -> UInt64 {
        var hash = SHA256()
        try Fields("localbus ordering key").adding(topic).adding(key).withUnsafeBytes { hash.update(bufferPointer: $0) }
        let number = hash.finalize().prefix(8).reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        return number == 0 ? 1 : number
    }
}
