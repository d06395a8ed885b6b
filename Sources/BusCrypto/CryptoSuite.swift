// Which algorithms a seal uses. One so far; the number is part of every derivation and batch header.

/// A set of algorithms by its number on the wire.
public enum CryptoSuite: UInt8, CaseIterable, Sendable {
    /// AES-256-GCM with a 16-byte tag; keys by HKDF-SHA256.
    case aes256GCM = 1
}
