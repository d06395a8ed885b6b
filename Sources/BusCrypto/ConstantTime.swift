// Comparison whose time says nothing about where two values differ. The library's, not our own loop, which an
// optimiser may turn into one that stops early.

import Crypto

enum ConstantTime {
    static func areEqual(_ one: UnsafeRawBufferPointer, _ other: UnsafeRawBufferPointer) -> Bool {
        SymmetricKey(data: one) == SymmetricKey(data: other)
    }

    static func isZero(_ bytes: UnsafeRawBufferPointer) -> Bool {
        [UInt8](repeating: 0, count: bytes.count).withUnsafeBytes { areEqual(bytes, $0) }
    }
}
