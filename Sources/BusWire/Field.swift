// Fields: what follows a fixed part in frames that are not on the hot path. Tag, length, value; a receiver skips
// tags it doesn't know unless their highest bit says that they are required.

/// The tags of version 1. Each has one meaning in all frames.
enum FieldTag: UInt16 {
    case name = 1
    case message = 2
    case topic = 3
    case filter = 4
    case grant = 5
    case row = 6
    case number = 7
    case text = 8
    case group = 9
    case mode = 10
    case incarnation = 11
    case key = 12
    case after = 13
    case durableName = 14
    case start = 15
    case setting = 16
    case selection = 17
    case payloadLengthMax = 18

    /// Set on a tag whose meaning the receiver must know.
    static let requiredBit: UInt16 = 0x8000
    /// Tag and length.
    static let headerLength = 6
}

extension FrameType {
    /// Whether version 1 gives this field a meaning in this frame; elsewhere it is as unknown as any other.
    func has(_ tag: FieldTag) -> Bool {
        switch self {
        case .hello, .welcome: tag == .name
        case .error, .closing: tag == .message
        case .openSeal, .gap, .circuit, .requestCancelled: tag == .topic
        case .sealOpened: tag == .grant || tag == .payloadLengthMax
        case .sealLimits: tag == .payloadLengthMax
        case .subscribe:
            tag == .filter || tag == .group || tag == .mode || tag == .durableName || tag == .start || tag == .setting
        case .settle: tag == .selection || tag == .message
        case .administer:
            tag == .key || tag == .filter || tag == .start || tag == .setting || tag == .mode
        case .announce: tag == .topic || tag == .name || tag == .incarnation
        case .grant: tag == .topic || tag == .grant
        case .inspect: tag == .key || tag == .after
        case .inspected: tag == .row || tag == .number || tag == .text || tag == .after
        case .goodbye, .done, .sync, .will, .cancelRequest, .unanswered, .closeSeal, .publish, .publishLater, .receipts,
            .subscribed, .unsubscribe, .unsubscribed, .credit, .acknowledge, .deliver, .caughtUp, .administered:
            false
        }
    }
}

/// The fields of one received frame.
struct Fields {
    private(set) var list: [(tag: FieldTag, value: SharedBytes)] = []
    let frame: FrameType

    /// Reads fields to the end of the frame; refuses required ones it doesn't know.
    init(reading reader: inout ByteReader, frame: FrameType) throws(WireError) {
        self.frame = frame
        let limit = frame == .inspected ? Limits.inspectedFieldCountMax : Limits.fieldCountMax
        var count = 0
        while reader.remaining > 0 {
            count += 1
            guard count <= limit else { throw .invalid(frame: frame, what: "more than \(limit) fields") }
            let raw: UInt16 = try reader.integer("field tag")
            let length: UInt32 = try reader.integer("field length")
            let value = try reader.take(Int(length), "field value")
            if let tag = FieldTag(rawValue: raw & ~FieldTag.requiredBit), frame.has(tag) {
                list.append((tag, value))
            } else if raw & FieldTag.requiredBit != 0 {
                throw .unknownRequiredField(frame: frame, tag: raw & ~FieldTag.requiredBit)
            }
        }
    }

    /// The value of the one field with this tag.
    func bytes(_ tag: FieldTag, orEmpty: Bool = false, lengthMax: Int) throws(WireError) -> [UInt8] {
        guard let found = list.first(where: { $0.tag == tag }) else {
            if orEmpty { return [] }
            throw .invalid(frame: frame, what: "has no \(tag)")
        }
        guard found.value.count <= lengthMax else {
            throw .invalid(
                frame: frame, what: "\(tag) has \(found.value.count) bytes, at most \(lengthMax) are allowed")
        }
        return found.value.array
    }

    /// The text of a field that may be absent; bytes that are no UTF-8 are replaced, since it is only shown.
    func text(_ tag: FieldTag, lengthMax: Int) throws(WireError) -> String {
        String(decoding: try bytes(tag, orEmpty: true, lengthMax: lengthMax), as: UTF8.self)
    }
}

extension Fields {
    /// The number in a field of its own, 4 or 8 bytes; nil when it is absent.
    func integer<T: FixedWidthInteger>(_ tag: FieldTag, as type: T.Type = T.self) throws(WireError) -> T? {
        guard let found = list.first(where: { $0.tag == tag }) else { return nil }
        var reader = ByteReader(found.value, range: 0..<found.value.count, frame: frame)
        return try reader.integer("field")
    }
}

extension [UInt8] {
    mutating func putField(_ tag: FieldTag, required: Bool = false, number: some FixedWidthInteger) {
        var bytes: [UInt8] = []
        bytes.put(number)
        putField(tag, required: required, bytes)
    }

    mutating func putField(_ tag: FieldTag, required: Bool = false, _ value: some Collection<UInt8>) {
        put(tag.rawValue | (required ? FieldTag.requiredBit : 0))
        put(UInt32(value.count))
        append(contentsOf: value)
    }

    /// A text field, cut at a character so that it keeps its bound.
    mutating func putField(_ tag: FieldTag, required: Bool = false, _ text: String, lengthMax: Int) {
        guard !text.isEmpty else { return }
        var end = text.utf8.index(text.startIndex, offsetBy: lengthMax, limitedBy: text.endIndex) ?? text.endIndex
        while end.samePosition(in: text) == nil { text.utf8.formIndex(before: &end) }
        putField(tag, required: required, text.utf8[..<end])
    }
}
