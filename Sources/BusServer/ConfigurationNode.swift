// A piece of a configuration file and where it stands, read strictly: nothing is guessed, and what is refused is told
// with file, line and the nearest thing that would be right.

import BusWire
import Yams

/// One value of a file, with its place.
struct ConfigurationNode {
    private let node: Node
    let file: String
    /// What it is called, for what is said about it.
    let name: String
    /// The line of its key, or its own.
    private let line: Int

    /// A file's text as a whole; nil for an empty one.
    static func root(yaml text: String, file: String) throws(ServerError) -> ConfigurationNode? {
        let root: Node?
        do {
            let parser = try Parser(yaml: text)
            root = try parser.singleRoot()
            // Nodes hold their anchors weakly: they go with the parser.
            try withExtendedLifetime(parser) {
                if let root { try refuseExtras(root, "", file: file, line: root.mark?.line ?? 1) }
            }
        } catch let refusal as ServerError {
            throw refusal
        } catch {
            throw .configuration(unreadable(error, file))
        }
        guard let root, root.null == nil else { return nil }
        return ConfigurationNode(node: root, file: file, name: "", line: root.mark?.line ?? 1)
    }

    /// A value stands where it is meant, and is what it looks like: no anchors, no aliases (which the parser follows to
    /// their anchors), no tags. Before anything else asks: that would have tags made up where there are none.
    private static func refuseExtras(
        _ node: Node, _ name: String, file: String, line: Int
    ) throws(ServerError) {
        func refuse(_ what: String) -> ServerError {
            .configuration("\(file):\(line): \(name.isEmpty ? "the file" : "`\(name)`") has \(what)")
        }
        guard node.anchor == nil else { throw refuse("an anchor: write the value wherever it is meant") }
        var tag = ""
        switch node {
        case .scalar(let scalar):
            // What is quoted, or a block, has the tag of a string without anybody's saying so.
            let isPlain = scalar.style == .plain
            if isPlain || scalar.tag.description != Tag.Name.str.rawValue { tag = scalar.tag.description }
        case .mapping(let mapping):
            tag = mapping.tag.description
            for (key, value) in mapping {
                let line = key.mark?.line ?? line
                let name = key.scalar?.string ?? name
                guard key.anchor == nil, !key.tag.description.hasPrefix("!") else {
                    throw .configuration("\(file):\(line): `\(name)` must be a plain name, without anchor or tag")
                }
                try refuseExtras(value, name, file: file, line: line)
            }
        case .sequence(let sequence):
            tag = sequence.tag.description
            for value in sequence { try refuseExtras(value, name, file: file, line: value.mark?.line ?? line) }
        case .alias: throw refuse("an alias: write the value itself")
        }
        guard tag.isEmpty else { throw refuse("a tag: write the value alone") }
    }

    /// What the parser found wrong, and where, on one line.
    private static func unreadable(_ error: any Error, _ file: String) -> String {
        switch error as? YamlError {
        case .scanner(let context, let problem, let mark, _), .parser(let context, let problem, let mark, _),
            .composer(let context, let problem, let mark, _):
            "\(file):\(mark.line): \(context.map { "\($0.text), " } ?? "")\(problem)"
        case .duplicatedKeysInMapping(let keys, let context):
            "\(file):\(context.mark.line): \(keys.map { "`\($0)`" }.joined(separator: ", ")) stands there more than once"
        case .reader(let problem, _, _, _): "\(file): is no YAML: \(problem)"
        default: "\(file): is no YAML: \(error)"
        }
    }

    /// Where it stands: `busd.yaml:7`.
    var place: String { "\(file):\(line)" }

    /// What is said against it.
    func refused(_ why: String) -> ServerError { .configuration("\(place): \(why)") }

    /// The `key: value` lines of a mapping.
    func entries() throws(ServerError) -> [(key: String, value: ConfigurationNode)] {
        guard let mapping = node.mapping else {
            throw refused(name.isEmpty ? "expected `key: value` lines" : "`\(name)` needs `key: value` lines")
        }
        var entries: [(key: String, value: ConfigurationNode)] = []
        for (key, value) in mapping {
            let line = key.mark?.line ?? line
            guard let text = key.scalar?.string else {
                throw .configuration("\(file):\(line): a key must be a name")
            }
            entries.append((text, ConfigurationNode(node: value, file: file, name: text, line: line)))
        }
        return entries
    }

    /// The one value that stands here.
    func scalar() throws(ServerError) -> String {
        guard let text = node.scalar?.string, !text.isEmpty, node.null == nil else {
            throw refused("`\(name)` needs one value")
        }
        return text
    }

    /// `true` or `false`, and no other spelling of them.
    func flag() throws(ServerError) -> Bool {
        switch try scalar() {
        case "true": return true
        case "false": return false
        case let other: throw refused("\(name) `\(other)` is neither true nor false")
        }
    }

    /// A whole number within bounds.
    func number(_ range: ClosedRange<Int>) throws(ServerError) -> Int {
        let text = try scalar()
        guard let number = Int(text), range.contains(number) else {
            throw refused("\(name) `\(text)` is not a number from \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }

    /// A number of bytes, or one with KiB, MiB or GiB, within bounds.
    func byteCount(_ range: ClosedRange<Int>, example: String) throws(ServerError) -> Int {
        let text = try scalar()
        guard let length = Quantity.bytes(text).map({ Int($0) }), range.contains(length) else {
            let (least, most) = (range.lowerBound, range.upperBound)
            throw refused(
                "\(name) `\(text)` is not a size from \(Quantity.text(bytes: Int64(least))) to "
                    + "\(Quantity.text(bytes: Int64(most))), such as \(example)")
        }
        return length
    }

    /// One of the keys that are known here, or what to write instead.
    func known<Key: RawRepresentable & CaseIterable>(_ key: String, as type: Key.Type) throws(ServerError) -> Key
    where Key.RawValue == String {
        guard let known = Key(rawValue: key) else {
            let nearest = Key.allCases.map { ($0.rawValue, editDistance($0.rawValue, key)) }.min { $0.1 < $1.1 }
            throw refused("unknown key `\(key)`; did you mean `\(nearest?.0 ?? "")`?")
        }
        return known
    }
}

/// How many single-character changes turn one name into the other; for suggestions only, names are short.
private func editDistance(_ a: String, _ b: String) -> Int {
    let (a, b) = (Array(a.utf8), Array(b.utf8.prefix(64)))
    var row = Array(0...b.count)
    for i in a.indices {
        var diagonal = row[0]
        row[0] = i + 1
        for j in b.indices {
            let substituted = diagonal + (a[i] == b[j] ? 0 : 1)
            diagonal = row[j + 1]
            row[j + 1] = min(row[j] + 1, row[j + 1] + 1, substituted)
        }
    }
    return row[b.count]
}

extension ConfigurationNode {
    /// A span of time, as whole seconds.
    func seconds(_ range: ClosedRange<Int>) throws(ServerError) -> Int {
        let text = try scalar()
        guard let time = Quantity.microseconds(text), time.isMultiple(of: 1_000_000),
            range.contains(Int(time / 1_000_000))
        else {
            throw refused(
                "\(name) `\(text)` is not a time from \(range.lowerBound)s to \(range.upperBound / 86_400)d, such as 10m"
            )
        }
        return Int(time / 1_000_000)
    }

    /// A share, as whole percents: `5%`.
    func percent(_ range: ClosedRange<Int>) throws(ServerError) -> Int {
        let text = try scalar()
        guard text.hasSuffix("%"), let number = Int(text.dropLast()), range.contains(number) else {
            throw refused(
                "\(name) `\(text)` is not a share from \(range.lowerBound)% to \(range.upperBound)%, such as 5%")
        }
        return number
    }

    /// One of two words.
    func choice(_ first: String, _ second: String) throws(ServerError) -> String {
        let text = try scalar()
        guard text == first || text == second else {
            throw refused("\(name) `\(text)` is neither \(first) nor \(second)")
        }
        return text
    }

    /// The value of a setting of topics or durable subscriptions.
    func setting(_ key: SettingKey) throws(ServerError) -> Setting {
        let text = try scalar()
        guard let value = key.value(text) else { throw refused("\(name) `\(text)` is not \(key.expectation)") }
        return Setting(key, value)
    }
}
