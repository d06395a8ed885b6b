// Bytes nobody vouches for. The same seeds every time, so that what fails once fails again.

import BusWire
import Testing

@Suite("Any bytes")
struct FrameDecoderFuzzTests {
    @Test("mutated from valid frames give a frame, a wait or an error", arguments: 1...10 as ClosedRange<UInt64>)
    func mutations(seed: UInt64) {
        var numbers = SeededNumbers(seed: seed)
        let seeds = FrameDecoderFuzzTests.seeds
        for _ in 0..<20_000 {
            var bytes = seeds[Int.random(in: 0..<seeds.count, using: &numbers)]
            for _ in 0..<Int.random(in: 1...4, using: &numbers) { mutate(&bytes, seeds, &numbers) }
            if Bool.random(using: &numbers) { repairLength(&bytes) }
            check(bytes)
        }
    }

    @Test("at random give a frame, a wait or an error", arguments: 1...4 as ClosedRange<UInt64>)
    func noise(seed: UInt64) {
        var numbers = SeededNumbers(seed: seed)
        for _ in 0..<10_000 {
            let length = Int.random(in: 0...96, using: &numbers)
            var bytes = (0..<length).map { _ in UInt8.random(in: 0...255, using: &numbers) }
            if bytes.count > 8, Bool.random(using: &numbers) {
                let type = FrameType.allCases[Int.random(in: 0..<FrameType.allCases.count, using: &numbers)]
                bytes[4] = type.rawValue
                bytes[7] = 0
                repairLength(&bytes)
            }
            check(bytes)
        }
    }

    /// Every sample, and publishes whose batches pass every check.
    private static let seeds: [[UInt8]] = {
        var columns = BatchColumns()
        columns.id = .each([BusUUID(high: 1, low: 1), BusUUID(high: 2, low: 2)])
        columns.correlation = .all(BusUUID(high: 3, low: 3))
        columns.replyTo = .each([Array("a".utf8), []])
        columns.orderingKey = .each([1, 2])
        columns.expiry = .all(9)
        let batches = [
            plainBatch(), plainBatch(eventCount: 2, firstID: BusUUID(high: 1, low: 1), columns: columns),
        ]
        return Sample.all.map(\.frame.encoded)
            + batches.map {
                Frame.publish(Publish(number: 1, wantsReceipt: true, batch: SharedBytes($0))).encoded
            }
    }()

    private func mutate(_ bytes: inout [UInt8], _ seeds: [[UInt8]], _ numbers: inout SeededNumbers) {
        guard !bytes.isEmpty else { return bytes.append(0) }
        let i = Int.random(in: 0..<bytes.count, using: &numbers)
        switch Int.random(in: 0..<7, using: &numbers) {
        case 0: bytes[i] ^= 1 << UInt8.random(in: 0..<8, using: &numbers)
        case 1: bytes[i] = [0, 1, 0x7f, 0x80, 0xfe, 0xff].randomElement(using: &numbers) ?? 0
        case 2: bytes.removeSubrange(i..<min(bytes.count, i + Int.random(in: 1...8, using: &numbers)))
        case 3: bytes.insert(contentsOf: run(0xf0, Int.random(in: 1...8, using: &numbers)), at: i)
        case 4: bytes.removeLast(bytes.count - i)
        case 5:
            let other = seeds[Int.random(in: 0..<seeds.count, using: &numbers)]
            bytes.append(contentsOf: other[Int.random(in: 0..<other.count, using: &numbers)...])
        default:  // the header: types, flags and lengths are where it hurts most
            bytes[min(bytes.count - 1, Int.random(in: 0..<8, using: &numbers))] = UInt8.random(
                in: 0...255, using: &numbers)
        }
    }

    private func repairLength(_ bytes: inout [UInt8]) {
        guard bytes.count >= 8 else { return }
        bytes.replaceSubrange(0..<4, with: [UInt8].little(UInt32(bytes.count - 8)))
    }

    private func check(_ bytes: [UInt8]) {
        let shared = SharedBytes(bytes)
        for (role, limit) in [(Role.client, 1024), (.client, 1 << 20), (.server, 1024), (.server, 1 << 20)] {
            guard let step = try? FrameDecoder(from: role, frameLengthMax: limit).next(in: shared) else { continue }
            switch step {
            case .frame(let frame, let length):
                if length > bytes.count || length < 8 { Issue.record("\(length) of \(bytes)") }
                if !frame.tail.isEmpty { checkBatch(frame.tail) }
                checkNames(frame)
                checkSelection(frame)
            case .skipped(let length):
                if length > bytes.count || length < 8 { Issue.record("skips \(length) of \(bytes)") }
            case .incomplete(let needed):
                if needed > limit || (needed != 0 && needed <= bytes.count) || (needed == 0) != (bytes.count < 8) {
                    Issue.record("needs \(needed) for \(bytes)")
                }
            }
        }
    }

    /// Names are checked by whoever uses them, whatever bytes they are.
    private func checkNames(_ frame: Frame) {
        switch frame {
        case .subscribe(let subscribe):
            _ = try? TopicFilter(bytes: subscribe.filter)
            guard let group = try? GroupName(bytes: subscribe.group) else { return }
            if group.bytes != subscribe.group || group.bytes.count > 64 { Issue.record("group \(group)") }
        case .requestCancelled(let cancelled): _ = try? Topic(bytes: cancelled.replyTopic).isReply
        case .administer(let administer): _ = (try? TopicFilter(bytes: administer.filter), administer.operation.name)
        case .circuit(let circuit): _ = try? Topic(bytes: circuit.topic).tokens
        default: break
        }
    }

    /// A selection that passes its check means some events of its batch, and no other.
    private func checkSelection(_ frame: Frame) {
        let bytes: SharedBytes
        switch frame {
        case .deliver(let deliver): bytes = deliver.selection
        case .settle(let settle): bytes = settle.selection
        default: return
        }
        for count in [1, 9, 64] {
            guard let selection = try? Selection(bytes, of: count) else { continue }
            let meant = (0..<count).filter(selection.contains)
            let isSound =
                selection.count(of: count) == meant.count && selection.bounds(of: count).upperBound == meant.last
            if meant.isEmpty || !isSound { Issue.record("\(selection) of \(count)") }
        }
    }

    private func checkBatch(_ bytes: SharedBytes) {
        if let batch = try? SealedBatch(bytes) {
            _ = (batch.authenticated, batch.body)
            try? batch.checkColumns()
        }
        var position = 0
        while position < bytes.count, let record = try? EventRecord.next(in: bytes, at: &position) {
            _ = record.headers
        }
    }
}
