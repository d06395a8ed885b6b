import BusWire
import Testing

@Suite("A group's name")
struct GroupNameTests {
    @Test("is one token", arguments: ["w", "workers", "zähler", "a$", "-", "7", String(repeating: "x", count: 64)])
    func good(_ name: String) throws {
        #expect(try GroupName(name).bytes == Array(name.utf8))
        #expect(try GroupName(name).description == name)
    }

    @Test(
        "against the rules is refused with the reason",
        arguments: [
            ("", .empty), (String(repeating: "x", count: 65), .groupTooLong(65)),
            (String(repeating: "ä", count: 33), .groupTooLong(66)), ("a.b", .forbidden("a dot")),
            (".", .edgeDot), ("a.", .edgeDot), (".a", .edgeDot), ("*", .forbidden("a *")), (">", .forbidden("a >")),
            ("a*", .forbidden("a *")), ("a b", .forbidden("U+20")), ("a\n", .forbidden("U+A")),
            ("a\u{3000}", .forbidden("U+3000")), ("$reply", .reserved), ("$", .reserved),
        ] as [(String, NameFault)])
    func bad(_ name: String, _ fault: NameFault) {
        #expect(throws: fault) { try GroupName(name) }
    }

    @Test("is UTF-8")
    func notUTF8() {
        #expect(throws: NameFault.notUTF8) { try GroupName(bytes: [0xff]) }
    }

    @Test("is compared by its bytes")
    func equality() throws {
        let (composed, decomposed) = (try GroupName("é"), try GroupName("e\u{301}"))
        #expect(composed != decomposed)
        #expect(Set([composed, decomposed, try GroupName("é")]).count == 2)
    }

    @Test("says how long it may be")
    func message() {
        #expect("\(NameFault.groupTooLong(65))" == "has 65 bytes, at most 64 are allowed")
    }
}
