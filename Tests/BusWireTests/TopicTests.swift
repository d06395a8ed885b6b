import BusWire
import Testing

@Suite("A topic")
struct TopicTests {
    private func fault(_ name: String) -> NameFault? { fault(Array(name.utf8)) }

    private func fault(_ bytes: [UInt8]) -> NameFault? {
        do throws(NameFault) {
            _ = try Topic(bytes: bytes)
            return nil
        } catch {
            return error
        }
    }

    @Test(
        "is tokens joined by dots",
        arguments: ["a", "a.b", "billing.invoice.created", "grüße.日本.🙂", "a-b_c/d:e@f", "$bus.session", "a$b", "."])
    func allowed(_ name: String) {
        #expect(fault(name) == (name == "." ? .edgeDot : nil))
    }

    @Test("has 1 to 255 bytes")
    func length() {
        #expect(fault("") == .empty)
        #expect(fault(String(repeating: "a", count: 255)) == nil)
        #expect(fault(String(repeating: "a", count: 256)) == .tooLong(256))
        #expect(fault(String(repeating: "ä", count: 128)) == .tooLong(256))
    }

    @Test("has at most 16 tokens")
    func tokens() {
        #expect(fault(Array(repeating: "a", count: 16).joined(separator: ".")) == nil)
        #expect(fault(Array(repeating: "a", count: 17).joined(separator: ".")) == .tooManyTokens(17))
    }

    @Test("has no empty token")
    func emptyTokens() {
        #expect(fault(".a") == .edgeDot)
        #expect(fault("a.") == .edgeDot)
        #expect(fault("a..b") == .emptyToken)
    }

    @Test(
        "has no control character and no white space",
        arguments: [
            "\0", "\u{1}", "\t", "\n", "\r", " ", "\u{7f}", "\u{80}", "\u{85}", "\u{9f}", "\u{a0}", "\u{1680}",
            "\u{2003}", "\u{2028}", "\u{2029}", "\u{202f}", "\u{205f}", "\u{3000}",
        ])
    func forbidden(_ character: String) throws {
        let value = try #require(character.unicodeScalars.first).value
        #expect(fault("a\(character)b.c") == .forbidden("U+" + String(value, radix: 16, uppercase: true)))
    }

    @Test("has no wildcard", arguments: ["*", ">", "a.*", "a.>", "a*b", "a>", "a.b*.c"])
    func wildcards(_ name: String) {
        guard case .forbidden = fault(name) else {
            Issue.record("\(name) passes")
            return
        }
    }

    @Test("is UTF-8")
    func utf8() {
        #expect(fault([0x61, 0xff]) == .notUTF8)
        #expect(fault([0xc0, 0xae]) == .notUTF8)  // an overlong dot
        #expect(fault([0xed, 0xa0, 0x80]) == .notUTF8)  // a surrogate
        #expect(fault([0xe2, 0x82]) == .notUTF8)
    }

    @Test("is compared as bytes: composed and decomposed spellings are two")
    func normalisation() throws {
        let (composed, decomposed) = (try Topic("caf\u{e9}"), try Topic("cafe\u{301}"))
        #expect(composed.description == decomposed.description)
        #expect(composed != decomposed)
        #expect(Set([composed, decomposed]).count == 2)
        #expect(try TopicFilter("caf\u{e9}") != TopicFilter("cafe\u{301}"))
        #expect(try !TopicFilter("caf\u{e9}").matches(decomposed))
    }

    @Test("knows its namespace, its tokens and whether it is the daemon's")
    func parts() throws {
        let topic = try Topic("$dead.orders.x")
        #expect(topic.isReserved)
        #expect(Array(topic.namespace) == Array("$dead".utf8))
        #expect(topic.tokens.map { String(decoding: $0, as: UTF8.self) } == ["$dead", "orders", "x"])
        #expect(try !Topic("a.$b").isReserved)
    }

    @Test("says what to do about a dot that the shell left behind")
    func hint() {
        #expect(NameFault.edgeDot.description.contains("single quotes"))
    }
}

@Suite("A topic filter")
struct TopicFilterTests {
    private func fault(_ pattern: String) -> NameFault? {
        do throws(NameFault) {
            _ = try TopicFilter(pattern)
            return nil
        } catch {
            return error
        }
    }

    @Test("has wildcards as whole tokens", arguments: ["*", ">", "a.*", "*.a", "a.>", "*.*.>", "a.*.b", "$bus.>"])
    func allowed(_ pattern: String) {
        #expect(fault(pattern) == nil)
    }

    @Test("has no wildcard inside a token")
    func inside() {
        #expect(fault("a*") == .forbidden("a * inside a token"))
        #expect(fault("a.**") == .forbidden("a * inside a token"))
        #expect(fault("a.>b") == .forbidden("a > inside a token"))
        #expect(fault(">>") == .forbidden("a > inside a token"))
        #expect(fault("$*") == .forbidden("a * inside a token"))
    }

    @Test("has > as its last token only")
    func tail() {
        #expect(fault(">.a") == .tailNotLast)
        #expect(fault("a.>.>") == .tailNotLast)
    }

    @Test("follows a topic's other rules")
    func others() {
        #expect(fault("") == .empty)
        #expect(fault("*.") == .edgeDot)
        #expect(fault("*..>") == .emptyToken)
        #expect(fault("a .*") == .forbidden("U+20"))
        #expect(fault(Array(repeating: "*", count: 17).joined(separator: ".")) == .tooManyTokens(17))
        #expect(fault(String(repeating: "a", count: 254) + ".>") == .tooLong(256))
    }

    @Test("knows whether it can match more than one topic")
    func wildcard() throws {
        #expect(try !TopicFilter("a.b").hasWildcard)
        #expect(try TopicFilter("a.*").hasWildcard)
        #expect(try TopicFilter("a.>").hasWildcard)
    }

    @Test(
        "matches what it says and nothing else",
        arguments: [
            ("a", "a", true), ("a", "b", false), ("a", "a.b", false), ("a.b", "a", false), ("a.b", "a.b", true),
            ("A", "a", false), ("*", "a", true), ("*", "a.b", false), ("a.*", "a.b", true), ("a.*", "a", false),
            ("a.*", "a.b.c", false), ("*.b", "a.b", true), ("*.b", "a.c", false), ("a.*.c", "a.b.c", true),
            ("a.*.c", "a.b.d", false), (">", "a", true), (">", "a.b.c", true), ("a.>", "a", false),
            ("a.>", "a.b", true), ("a.>", "a.b.c", true), ("a.>", "b.c", false), ("*.>", "a", false),
            ("*.>", "a.b", true), ("a.*.>", "a.b", false), ("a.*.>", "a.b.c.d", true), (">", "$bus.x", false),
            ("*.x", "$bus.x", false), ("*.>", "$bus.x", false), ("$bus.>", "$bus.x", true), ("$bus.*", "$bus.x", true),
            ("$bus.x", "$bus.x", true), ("$bus.>", "$dead.x", false), (">", "a.$b", true), ("a.*", "a.$b", true),
        ])
    func matches(_ pattern: String, _ name: String, _ expected: Bool) throws {
        #expect(try TopicFilter(pattern).matches(Topic(name)) == expected)
    }
}
