// `store:` in busd.yaml: how much durable topics may hold, and what becomes of dead letters.
//
//   store:
//     max-bytes: 4GiB
//     dead-letters: {max-age: 14d, share: 5%}

import BusWire

/// The bounds of the store.
public struct StoreBounds: Sendable, Equatable {
    /// The longest it may get, in bytes; nil: the smaller of a tenth of its file system and 4 GiB.
    public var lengthMax: Int64?
    /// How long dead letters are kept.
    public var deadLetterAgeMax = Duration.seconds(14 * 86_400)
    /// How much of the store they may take, in percent.
    public var deadLetterShareMax = 5

    /// How long it may get on a file system of this size.
    public func lengthMax(onFileSystemOf length: Int64) -> Int64 { lengthMax ?? min(length / 10, 4 << 30) }

    /// What the longest dead letters together may take of a store of this length.
    public func deadLetterLengthMax(ofStore length: Int64) -> Int64 { length / 100 * Int64(deadLetterShareMax) }
}

extension DaemonConfiguration {
    private enum StoreKey: String, CaseIterable {
        case maxBytes = "max-bytes"
        case deadLetters = "dead-letters"
    }

    private enum DeadLetterKey: String, CaseIterable {
        case maxAge = "max-age"
        case share
    }

    mutating func readStore(_ section: ConfigurationNode) throws(ServerError) {
        try requireDurableTopics(section)
        for (word, node) in try section.entries() {
            switch try node.known(word, as: StoreKey.self) {
            // Below a megabyte the database's own pages leave no room for events.
            case .maxBytes: store.lengthMax = Int64(try node.byteCount(1 << 20...1 << 50, example: "4GiB"))
            case .deadLetters: try readDeadLetters(node)
            }
        }
    }

    private mutating func readDeadLetters(_ section: ConfigurationNode) throws(ServerError) {
        for (word, node) in try section.entries() {
            switch try node.known(word, as: DeadLetterKey.self) {
            case .maxAge: store.deadLetterAgeMax = .seconds(try node.seconds(1...36_500 * 86_400))
            case .share: store.deadLetterShareMax = try node.percent(1...50)
            }
        }
    }
}
