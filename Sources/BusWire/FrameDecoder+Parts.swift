// How each frame is read from its fixed part and its fields. The order of reads is the layout in docs/PROTOCOL.md.

/// The first bytes of both hellos, so that no other protocol is mistaken for this one.
let protocolMagic: [UInt8] = Array("LBUS".utf8)

extension ByteReader {
    /// A position in a topic, low enough to count on from it.
    fileprivate mutating func sequence(_ what: StaticString, _ frame: FrameType) throws(WireError) -> UInt64 {
        let value: UInt64 = try integer(what)
        guard value <= Limits.sequenceMax else { throw .invalid(frame: frame, what: "\(what) is out of range") }
        return value
    }

    fileprivate mutating func magic() throws(WireError) {
        guard try array(4, "magic") == protocolMagic else { throw .notThisProtocol }
    }
}

extension Hello {
    init(_ reader: inout ByteReader, _ fields: Fields) throws(WireError) {
        try reader.magic()
        versionMin = try reader.integer("oldest version")
        versionMax = try reader.integer("newest version")
        publicKey = try reader.array(32, "public key")
        nonce = try reader.array(32, "nonce")
        name = try fields.text(.name, lengthMax: Limits.nameLengthMax)
    }
}

extension Welcome {
    init(_ reader: inout ByteReader, _ fields: Fields) throws(WireError) {
        try reader.magic()
        version = try reader.integer("version")
        try reader.skip(2, "reserved")
        publicKey = try reader.array(32, "public key")
        nonce = try reader.array(32, "nonce")
        incarnation = try reader.uuid("incarnation")
        session = try reader.integer("session")
        frameLengthMax = try reader.integer("frame limit")
        payloadLengthMax = try reader.integer("payload limit")
        publishWindow = try reader.integer("publish window")
        server = try fields.text(.name, lengthMax: Limits.nameLengthMax)
    }
}

extension ErrorFrame {
    init(_ reader: inout ByteReader, _ fields: Fields) throws(WireError) {
        reason = Reason(rawValue: try reader.integer("reason"))
        inReplyTo = try reader.integer("frame type")
        isFatal = try reader.integer("fatal", as: UInt8.self) != 0
        try reader.skip(4, "reserved")
        request = try reader.integer("request")
        message = try fields.text(.message, lengthMax: Limits.messageLengthMax)
    }
}

extension OpenSeal {
    init(_ reader: inout ByteReader, _ fields: Fields) throws(WireError) {
        request = try reader.integer("request")
        salt = try reader.array(32, "salt")
        topic = try fields.bytes(.topic, lengthMax: Limits.helloLengthMax)
    }
}

extension SealOpened {
    init(_ reader: inout ByteReader, _ fields: Fields) throws(WireError) {
        request = try reader.integer("request")
        epoch = try reader.integer("epoch")
        seal = try reader.integer("seal")
        batchLengthMax = try reader.integer("batch length")
        batchEventCountMax = try reader.integer("batch events")
        grantIncarnation = try reader.integer("grant incarnation")
        grantCounter = try reader.integer("grant counter")
        grant = try fields.bytes(.grant, lengthMax: 128)
        payloadLengthMax = try fields.integer(.payloadLengthMax) ?? 0
    }
}

extension Publish {
    static let wantsReceiptFlag: UInt8 = 0x01
    static let patientFlag: UInt8 = 0x02
    static let retainFlag: UInt8 = 0x04
    static let tombstoneFlag: UInt8 = 0x08
    static let requestFlag: UInt8 = 0x10
    static let moreFlag: UInt8 = 0x20
    static let durableFlag: UInt8 = 0x40
    static let againFlag: UInt8 = 0x80

    var flags: UInt8 {
        (wantsReceipt ? Publish.wantsReceiptFlag : 0) | (isPatient ? Publish.patientFlag : 0)
            | (retains ? Publish.retainFlag : 0) | (isTombstone ? Publish.tombstoneFlag : 0)
            | (isRequest ? Publish.requestFlag : 0) | (hasMore ? Publish.moreFlag : 0)
            | (mustBeDurable ? Publish.durableFlag : 0) | (isAgain ? Publish.againFlag : 0)
    }

    init(_ reader: inout ByteReader, flags: UInt8, tail: inout ByteReader, isLater: Bool) throws(WireError) {
        number = try reader.integer("number")
        due = isLater ? try reader.integer("due", as: Int64.self) : nil
        wantsReceipt = flags & Publish.wantsReceiptFlag != 0
        isPatient = flags & Publish.patientFlag != 0
        retains = flags & Publish.retainFlag != 0
        isTombstone = flags & Publish.tombstoneFlag != 0
        isRequest = flags & Publish.requestFlag != 0
        hasMore = flags & Publish.moreFlag != 0
        mustBeDurable = flags & Publish.durableFlag != 0
        isAgain = flags & Publish.againFlag != 0
        batch = try tail.take(tail.remaining, "batch")
    }
}

extension Receipts {
    init(_ reader: inout ByteReader, tail: inout ByteReader) throws(WireError) {
        progress = try reader.integer("progress")
        let count: UInt32 = try reader.integer("count")
        let entry = Int(try reader.integer("entry length", as: UInt16.self))
        guard entry >= Receipt.length else { throw .invalid(frame: .receipts, what: "entries of \(entry) bytes") }
        guard Int(count) * entry <= tail.remaining else { throw .truncated(frame: .receipts, what: "entries") }
        receipts = []
        receipts.reserveCapacity(Int(count))
        for _ in 0..<count {
            receipts.append(try Receipt(&tail))
            try tail.skip(entry - Receipt.length, "entry")
        }
    }
}

extension Receipt {
    static let durableFlag: UInt16 = 1
    static let duplicateFlag: UInt16 = 2
    static let scheduledFlag: UInt16 = 4

    fileprivate init(_ reader: inout ByteReader) throws(WireError) {
        number = try reader.integer("number")
        firstSequence = try reader.sequence("first sequence", .receipts)
        eventCount = try reader.integer("event count")
        liveMatches = try reader.integer("live matches")
        durableMatches = try reader.integer("durable matches")
        let flags: UInt16 = try reader.integer("flags")
        responders = try reader.integer("responders")
        isDurable = flags & Receipt.durableFlag != 0
        isDuplicate = flags & Receipt.duplicateFlag != 0
        isScheduled = flags & Receipt.scheduledFlag != 0
    }
}

extension Subscribe {
    init(_ reader: inout ByteReader, _ fields: Fields) throws(WireError) {
        subscription = try reader.integer("subscription")
        overflow = try reader.integer("overflow")
        try reader.skip(3, "reserved")
        stallMilliseconds = try reader.integer("stall time")
        queueEventCount = try reader.integer("queue events")
        queueLength = try reader.integer("queue bytes")
        creditEvents = try reader.integer("credit events")
        creditBytes = try reader.integer("credit bytes")
        filter = try fields.bytes(.filter, lengthMax: Limits.helloLengthMax)
        group = try fields.bytes(.group, orEmpty: true, lengthMax: Limits.helloLengthMax)
        mode = SubscribeMode(rawValue: try fields.integer(.mode) ?? 0)
        durableName = try fields.bytes(.durableName, orEmpty: true, lengthMax: Limits.helloLengthMax)
        start = try fields.start()
        settings = try fields.settings()
    }
}

extension Unsubscribed {
    init(_ reader: inout ByteReader) throws(WireError) {
        subscription = try reader.integer("subscription")
        reason = Reason(rawValue: try reader.integer("reason"))
        try reader.skip(2, "reserved")
        deliveredCount = try reader.integer("delivered")
        missedCount = try reader.integer("missed")
    }
}

extension Credit {
    init(_ reader: inout ByteReader) throws(WireError) {
        subscription = try reader.integer("subscription")
        events = try reader.integer("events")
        bytes = try reader.integer("bytes")
    }
}

extension Acknowledge {
    init(_ reader: inout ByteReader) throws(WireError) {
        subscription = try reader.integer("subscription")
        delivery = try reader.integer("delivery")
    }
}

extension Settle {
    init(_ reader: inout ByteReader, _ fields: Fields) throws(WireError) {
        subscription = try reader.integer("subscription")
        settlement = try reader.integer("settlement")
        try reader.skip(3, "reserved")
        delivery = try reader.integer("delivery")
        delayMilliseconds = try reader.integer("delay")
        try reader.skip(4, "reserved")
        selection = fields.list.first { $0.tag == .selection }?.value ?? .empty
        message = try fields.text(.message, lengthMax: Limits.messageLengthMax)
    }
}

extension Administer {
    init(_ reader: inout ByteReader, _ fields: Fields) throws(WireError) {
        request = try reader.integer("request")
        operation = Operation(rawValue: try reader.integer("operation"))
        key = try fields.text(.key, lengthMax: Limits.keyLengthMax)
        filter = try fields.bytes(.filter, orEmpty: true, lengthMax: Limits.helloLengthMax)
        mode = SubscribeMode(rawValue: try fields.integer(.mode) ?? 0)
        start = try fields.start()
        settings = try fields.settings()
    }
}

extension Administered {
    init(_ reader: inout ByteReader) throws(WireError) {
        request = try reader.integer("request")
        try reader.skip(4, "reserved")
        count = try reader.integer("count")
    }
}

extension Announcement {
    static let forgetsEarlierFlag: UInt8 = 0x01

    init(_ reader: inout ByteReader, flags: UInt8, _ fields: Fields) throws(WireError) {
        forgetsEarlier = flags & Announcement.forgetsEarlierFlag != 0
        seal = try reader.integer("seal")
        epoch = try reader.integer("epoch")
        uid = try reader.integer("uid")
        gid = try reader.integer("gid")
        salt = try reader.array(32, "salt")
        keyCheck = try reader.array(16, "key check")
        topic = try fields.bytes(.topic, lengthMax: Limits.topicLengthMax)
        publisher = try fields.text(.name, lengthMax: Limits.nameLengthMax)
        topicIncarnation = try fields.integer(.incarnation) ?? 0
    }
}

extension Grant {
    init(_ reader: inout ByteReader, _ fields: Fields) throws(WireError) {
        epoch = try reader.integer("epoch")
        incarnation = try reader.integer("incarnation")
        counter = try reader.integer("counter")
        topic = try fields.bytes(.topic, lengthMax: Limits.topicLengthMax)
        sealed = try fields.bytes(.grant, lengthMax: 128)
    }
}

extension Deliver {
    static let storedFlag: UInt8 = 0x01
    static let moreFlag: UInt8 = 0x02
    static let answerableFlag: UInt8 = 0x04
    static let repeatedFlag: UInt8 = 0x08

    @inline(__always)
    var flags: UInt8 {
        (isStored ? Deliver.storedFlag : 0) | (hasMore ? Deliver.moreFlag : 0)
            | (isAnswerable ? Deliver.answerableFlag : 0) | (mayBeRepeated ? Deliver.repeatedFlag : 0)
    }

    init(_ reader: inout ByteReader, flags: UInt8, tail: inout ByteReader) throws(WireError) {
        isStored = flags & Deliver.storedFlag != 0
        hasMore = flags & Deliver.moreFlag != 0
        isAnswerable = flags & Deliver.answerableFlag != 0
        mayBeRepeated = flags & Deliver.repeatedFlag != 0
        subscription = try reader.integer("subscription")
        attempt = try reader.integer("attempt")
        try reader.skip(2, "reserved")
        delivery = try reader.integer("delivery")
        firstSequence = try reader.sequence("first sequence", .deliver)
        time = try reader.integer("time")
        let selectionLength: UInt32 = try reader.integer("selection length")
        selection = try tail.take(Int(selectionLength), "selection")
        batch = try tail.take(tail.remaining, "batch")
    }
}

extension Gap {
    static let unknownCountFlag: UInt16 = 1

    init(_ reader: inout ByteReader, _ fields: Fields) throws(WireError) {
        subscription = try reader.integer("subscription")
        reason = Reason(rawValue: try reader.integer("reason"))
        let flags: UInt16 = try reader.integer("flags")
        let known: UInt64 = try reader.integer("count")
        count = flags & Gap.unknownCountFlag != 0 ? nil : known
        firstSequence = try reader.sequence("first sequence", .gap)
        lastSequence = try reader.sequence("last sequence", .gap)
        topic = try fields.bytes(.topic, orEmpty: true, lengthMax: Limits.topicLengthMax)
    }
}

extension SealLimitsChanged {
    init(_ reader: inout ByteReader, _ fields: Fields) throws(WireError) {
        seal = try reader.integer("seal")
        batchLengthMax = try reader.integer("batch length")
        batchEventCountMax = try reader.integer("batch events")
        payloadLengthMax = try fields.integer(.payloadLengthMax) ?? 0
    }
}

extension Will {
    var flags: UInt8 { (retains ? Publish.retainFlag : 0) | (isTombstone ? Publish.tombstoneFlag : 0) }

    init(_ reader: inout ByteReader, flags: UInt8, tail: inout ByteReader) throws(WireError) {
        request = try reader.integer("request")
        retains = flags & Publish.retainFlag != 0
        isTombstone = flags & Publish.tombstoneFlag != 0
        batch = try tail.take(tail.remaining, "batch")
    }
}

extension Circuit {
    init(_ reader: inout ByteReader, _ fields: Fields) throws(WireError) {
        state = try reader.integer("state")
        topic = try fields.bytes(.topic, lengthMax: Limits.helloLengthMax)
    }
}

extension Unanswered {
    init(_ reader: inout ByteReader) throws(WireError) {
        correlation = try reader.uuid("correlation")
        reason = Reason(rawValue: try reader.integer("reason"))
    }
}

extension CaughtUp {
    init(_ reader: inout ByteReader) throws(WireError) {
        subscription = try reader.integer("subscription")
        count = try reader.integer("count")
    }
}

extension RequestCancelled {
    init(_ reader: inout ByteReader, _ fields: Fields) throws(WireError) {
        correlation = try reader.uuid("correlation")
        replyTopic = try fields.bytes(.topic, lengthMax: Limits.topicLengthMax)
    }
}

extension Inspect {
    init(_ reader: inout ByteReader, _ fields: Fields) throws(WireError) {
        request = try reader.integer("request")
        kind = InspectionKind(rawValue: try reader.integer("kind"))
        key = try fields.text(.key, lengthMax: Limits.nameLengthMax)
        after = try fields.integer(.after) ?? 0
    }
}

extension Inspected {
    init(_ reader: inout ByteReader, _ fields: Fields) throws(WireError) {
        request = try reader.integer("request")
        rows = []
        after = try fields.integer(.after) ?? 0
        for (tag, value) in fields.list {
            if tag == .row { rows.append([]) }
            guard let read = try InspectedValue(tag, value) else { continue }
            guard !rows.isEmpty else { throw .invalid(frame: .inspected, what: "a value before its row") }
            rows[rows.count - 1].append(read)
        }
    }
}

extension InspectedValue {
    fileprivate init?(_ tag: FieldTag, _ bytes: SharedBytes) throws(WireError) {
        guard tag == .number || tag == .text else { return nil }
        var reader = ByteReader(bytes, range: 0..<bytes.count, frame: .inspected)
        let length: UInt8 = try reader.integer("name length")
        name = String(decoding: try reader.array(Int(length), "name"), as: UTF8.self)
        value =
            tag == .number
            ? .number(try reader.integer("number"))
            : .text(String(decoding: try reader.array(reader.remaining, "text"), as: UTF8.self))
    }
}
