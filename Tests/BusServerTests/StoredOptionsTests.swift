import BusWire
import Testing

@testable import BusServer

/// What lies in the store in bytes of the server's own.
@Suite struct StoredOptionsTests {
    private let options = SubscriptionOptions(
        filter: Array("jobs.>".utf8), mode: 9,
        settings: [Setting(.attemptCountMax, 3), Setting(SettingKey(rawValue: 60_000), .min)], uid: .max,
        created: -1, attended: .max)

    @Test func `options of a subscription come back as they were`() {
        #expect(SubscriptionOptions(options.encoded) == options)
        var least = options
        (least.filter, least.settings) = ([], [])
        #expect(SubscriptionOptions(least.encoded) == least)
        var longest = options
        longest.filter = [UInt8](repeating: 7, count: 65_535)
        #expect(SubscriptionOptions(longest.encoded) == longest)
    }

    @Test func `settings of a declaration come back as they were`() {
        for settings in [[], [Setting(.durable, 1)], options.settings] {
            #expect(DeclarationOptions.decode(DeclarationOptions.encode(settings)) == settings)
        }
    }

    @Test func `cut off anywhere they are nothing, not something less`() {
        let (subscription, declaration) = (options.encoded, DeclarationOptions.encode(options.settings))
        for length in 0..<subscription.count {
            #expect(SubscriptionOptions(Array(subscription[..<length])) == nil, "\(length) bytes")
        }
        for length in 0..<declaration.count {
            #expect(DeclarationOptions.decode(Array(declaration[..<length])) == nil, "\(length) bytes")
        }
    }

    @Test func `another version's, and what is longer than it says, is nothing`() {
        var later = options.encoded
        later[0] = 2
        #expect(SubscriptionOptions(later) == nil)
        #expect(SubscriptionOptions(options.encoded + [0]) == nil)
        let declaration = DeclarationOptions.encode(options.settings)
        #expect(DeclarationOptions.decode([2] + declaration.dropFirst()) == nil)
        #expect(DeclarationOptions.decode(declaration + [0]) == nil)
    }

    @Test func `any bytes are read without harm`() {
        var generator = SystemRandomNumberGenerator()
        for length in 0..<200 {
            let bytes = [1] + (0..<length).map { _ in UInt8.random(in: 0...255, using: &generator) }
            if let read = SubscriptionOptions(bytes) { #expect(read.encoded == bytes) }
            if let read = DeclarationOptions.decode(bytes) { #expect(DeclarationOptions.encode(read) == bytes) }
        }
    }
}
