// A line in which each stands once, in the order in which they came.

import Testing

@testable import BusBroker

@Suite struct KeyLineTests {
    private func key(_ hash: UInt64) -> OrderedKey { OrderedKey(topic: 1, hash: hash) }

    private func keys(_ line: KeyLine, most: Int = .max) -> [UInt64] {
        var found: [UInt64] = []
        line.forEach { key in
            found.append(key.hash)
            return found.count < most
        }
        return found
    }

    @Test func `who joins twice keeps its place, who leaves and comes back stands last`() {
        var line = KeyLine()
        for hash in [3, 1, 2, 3] as [UInt64] { line.join(key(hash)) }
        #expect(keys(line) == [3, 1, 2] && line.count == 3)
        line.leave(key(3))
        line.leave(key(3))
        line.join(key(3))
        #expect(keys(line) == [1, 2, 3])
        #expect(keys(line, most: 2) == [1, 2])
        #expect(line.contains(key(1)) && !line.contains(key(9)))
        line.removeAll()
        #expect(line.isEmpty && keys(line).isEmpty)
    }

    @Test func `however many come and go, those who are in it are in order`() {
        var line = KeyLine()
        var model: [UInt64] = []
        var random = SystemRandomNumberGenerator()
        for _ in 0..<5000 {
            let hash = UInt64.random(in: 1...40, using: &random)
            if Bool.random(using: &random) {
                line.join(key(hash))
                if !model.contains(hash) { model.append(hash) }
            } else {
                line.leave(key(hash))
                model.removeAll { $0 == hash }
            }
        }
        #expect(keys(line) == model && line.count == model.count)
    }
}
