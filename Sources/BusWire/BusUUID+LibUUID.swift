// The only door to libuuid: seeding, parsing and writing of UUIDs.

import CLibUUID

extension BusUUID {
    /// A random UUID from libuuid (RFC 9562 version 4). A system call, 2 to 3 µs: one per connection or session,
    /// not per event.
    public static func random() -> BusUUID {
        var bytes: uuid_t = (0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
        withUnsafeMutableBytes(of: &bytes) { uuid_generate_random($0.baseAddress) }
        return withUnsafeBytes(of: bytes) { BusUUID(bytes: $0) }
    }

    /// The UUID that `text` spells (36 characters, either case), or nil.
    public init?(_ text: String) {
        // libuuid takes white space and signs where digits belong, and reads another UUID than is written there.
        guard text.utf8.count == 36, zip(0..., text.utf8).allSatisfy(BusUUID.isPlausible) else { return nil }
        var bytes: uuid_t = (0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
        guard withUnsafeMutableBytes(of: &bytes, { uuid_parse(text, $0.baseAddress) }) == 0 else { return nil }
        self = withUnsafeBytes(of: bytes) { BusUUID(bytes: $0) }
    }

    /// Whether `byte` may stand at `index` of a UUID's text: dashes between the groups, else a hexadecimal digit.
    private static func isPlausible(_ index: Int, _ byte: UInt8) -> Bool {
        switch index {
        case 8, 13, 18, 23: byte == UInt8(ascii: "-")
        default: Character(Unicode.Scalar(byte)).isHexDigit
        }
    }

    /// The UUID in these 16 bytes, network byte order.
    init(bytes: UnsafeRawBufferPointer) {
        precondition(bytes.count == 16, "a UUID has 16 bytes")
        high = UInt64(bigEndian: bytes.loadUnaligned(as: UInt64.self))
        low = UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
    }
}

extension BusUUID: CustomStringConvertible, LosslessStringConvertible {
    /// Lower case, as libuuid writes it.
    public var description: String {
        let words = (high.bigEndian, low.bigEndian)
        return withUnsafeBytes(of: words) { bytes in
            String(unsafeUninitializedCapacity: 40) { text in
                text.withMemoryRebound(to: CChar.self) { characters in
                    uuid_unparse_lower(bytes.baseAddress, characters.baseAddress)
                }
                return 36
            }
        }
    }
}
