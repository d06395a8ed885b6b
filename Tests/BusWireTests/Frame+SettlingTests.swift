import BusWire
import Testing

@Suite("Frames of durable subscriptions")
struct FrameSettlingTests {
    @Test("have a number for each settlement, for ever")
    func settlements() {
        #expect(
            Settlement.allCases.map { "\($0) \($0.rawValue)" } == [
                "acknowledge 0", "retry 1", "extend 2", "reject 3",
            ])
    }

    @Test("have a number and a name for each operation, for ever")
    func operations() {
        let operations: [BusWire.Operation] = [
            .createTopic, .alterTopic, .deleteTopic, .purgeTopic, .createSubscription, .alterSubscription,
            .seekSubscription, .deleteSubscription, .redriveDead, .dropDead, .backup, .scrub, .backupWithKey,
            .cancelScheduled,
        ]
        #expect(
            operations.map { "\($0.rawValue) \($0.name)" } == [
                "1 create-topic", "2 alter-topic", "3 delete-topic", "4 purge-topic", "10 create-subscription",
                "11 alter-subscription", "12 seek-subscription", "13 delete-subscription", "20 redrive-dead",
                "21 drop-dead", "30 backup", "31 scrub", "32 backup-with-key", "40 cancel-scheduled",
            ])
        #expect(BusWire.Operation(rawValue: 200).name == "operation-200")
    }

    @Test("leave a settlement and an operation of a later version for others to refuse")
    func unknown() throws {
        var settle = Settle(.retry, subscription: 1, delivery: 2)
        settle.settlement = 200
        let settled = Frame.settle(settle).encoded
        #expect(try decode(settled, from: .client) == .frame(.settle(settle), length: settled.count))
        #expect(Settlement(rawValue: settle.settlement) == nil)
        let administer = Frame.administer(Administer(request: 1, BusWire.Operation(rawValue: 200), key: "k")).encoded
        let expected = Administer(request: 1, BusWire.Operation(rawValue: 200), key: "k")
        #expect(try decode(administer, from: .client) == .frame(.administer(expected), length: administer.count))
    }

    @Test("write nothing of what isn't said")
    func shortest() {
        #expect(Frame.settle(Settle(.acknowledge, subscription: 1, delivery: 2)).encoded.count == 8 + 24)
        #expect(Frame.administer(Administer(request: 1, .scrub)).encoded.count == 8 + 8)
    }

    @Test("mean all events of a delivery with an empty selection as with none, and leave it where it is")
    func selections() throws {
        func settle(_ rest: [UInt8]) throws -> Settle? {
            let bytes = [UInt8].frame(type: 0x26, fixed: [UInt8](repeating: 0, count: 24), rest: rest)
            guard case .frame(.settle(let settle), _) = try decode(bytes, from: .client) else { return nil }
            return settle
        }
        #expect(try settle([])?.selection.isEmpty == true)
        #expect(try settle(.field(0x8011, []))?.selection.isEmpty == true)
        #expect(try settle(.field(0x8011, [5]) + .field(0x8011, [9]))?.selection.array == [5])
        let long = try #require(try settle(.field(0x8011, run(0, 4096))))
        #expect(long.selection.count == 4096)
        #expect(throws: WireError.self) { try Selection(long.selection, of: 4096) }
    }

    @Test("refuse a message and a key that are too long, and cut their own")
    func lengths() throws {
        let settle = [UInt8](repeating: 0, count: 24)
        #expect(throws: WireError.invalid(frame: .settle, what: "message has 961 bytes, at most 960 are allowed")) {
            try decode(.frame(type: 0x26, fixed: settle, rest: .field(2, run(0, 961))), from: .client)
        }
        #expect(throws: WireError.invalid(frame: .administer, what: "key has 961 bytes, at most 960 are allowed")) {
            try decode(.frame(type: 0x32, fixed: run(0, 8), rest: .field(0x800c, run(0, 961))), from: .client)
        }
        let word = Settle(.reject, subscription: 1, delivery: 1, message: String(repeating: "x", count: 2000))
        #expect(Frame.settle(word).encoded.count == 8 + 24 + 6 + 960)
    }

    @Test("refuse a field they don't have where it is required, and skip it where it isn't")
    func foreignFields() throws {
        for (type, fixed, sender) in [(0x26, 24, Role.client), (0x32, 8, .client), (0x33, 16, .server)] {
            for tag in [1, 3, 9, 13, 14, 99] as [UInt16] {
                func bytes(_ tag: UInt16) -> [UInt8] {
                    .frame(
                        type: UInt8(type), fixed: [UInt8](repeating: 0, count: fixed), rest: .field(tag, [1, 2, 3]))
                }
                let frame = try #require(FrameType(rawValue: UInt8(type)))
                #expect(throws: WireError.unknownRequiredField(frame: frame, tag: tag)) {
                    try decode(bytes(tag | 0x8000), from: sender)
                }
                guard case .frame = try decode(bytes(tag), from: sender) else {
                    Issue.record("\(frame) with field \(tag)")
                    continue
                }
            }
        }
    }

    @Test("read a durable name up to 1,024 bytes, so that it can be refused by name, and an empty one as none")
    func durableNames() throws {
        func subscribe(_ name: [UInt8]) throws(WireError) -> Subscribe? {
            let fixed = [UInt8](repeating: 0, count: 40)
            let rest = [UInt8].field(0x8004, []) + .field(0x800e, name)
            let step = try decode(.frame(type: 0x20, fixed: fixed, rest: rest), from: .client)
            guard case .frame(.subscribe(let subscribe), _) = step else { return nil }
            return subscribe
        }
        #expect(try subscribe([])?.durableName == [])
        #expect(try subscribe(run(0, 1024))?.durableName.count == 1024)
        let what = "durableName has 1025 bytes, at most 1024 are allowed"
        #expect(throws: WireError.invalid(frame: .subscribe, what: what)) { try subscribe(run(0, 1025)) }
    }
}
