import BusWire
import Testing

@Suite("A UUID's text")
struct BusUUIDLibUUIDTests {
    @Test("is written in lower case and read in either")
    func roundTrip() throws {
        let id = try #require(BusUUID("01234567-89AB-cdef-8123-456789ABCDEF"))
        #expect(id == BusUUID(high: 0x0123_4567_89ab_cdef, low: 0x8123_4567_89ab_cdef))
        #expect(id.description == "01234567-89ab-cdef-8123-456789abcdef")
        #expect(BusUUID(id.description) == id)
    }

    @Test(
        "that is none is refused",
        arguments: [
            "", "0", "01234567-89ab-cdef-8123-456789abcde", "01234567-89ab-cdef-8123-456789abcdef0",
            "0123456789abcdef8123456789abcdef", "{01234567-89ab-cdef-8123-456789abcd}",
            "01234567-89ab-cdef-8123-456789abcdeg", "01234567x89ab-cdef-8123-456789abcdef",
            "01234567-89ab-cdef-8123-456789abcde\0", "01234567-89ab-cdef-8123-4567\0abcdef0",
            " 1234567-89ab-cdef-8123-456789abcdef", "01234567-89ab-cdef-8123-456789abcd\u{e9}",
        ])
    func refused(_ text: String) {
        #expect(BusUUID(text) == nil)
    }

    @Test("of random ones says version 4, and no two are alike")
    func random() {
        let ids = (0..<100).map { _ in BusUUID.random() }
        #expect(Set(ids).count == 100)
        for id in ids { #expect(id.high >> 12 & 0xf == 4 && id.low >> 62 == 0b10) }
    }
}
