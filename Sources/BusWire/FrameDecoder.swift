// From bytes to frames. Total: any bytes give frames, "not all here yet", or one typed error. The length is checked
// before anybody buffers for it; nothing recurses; nothing is copied but names and keys.

/// Cuts and decodes the frames at the front of received bytes. Keeps no bytes itself: its caller does, and is told
/// how many the frame under way needs.
public struct FrameDecoder: Sendable {
    /// Who sends the bytes.
    private let sender: Role
    /// The longest frame allowed now, header included; its owner raises it when the peer is authenticated.
    public var frameLengthMax: Int

    /// A decoder for what `sender` sends.
    ///
    /// - Parameters:
    ///   - sender: only frames of this role are accepted.
    ///   - frameLengthMax: in bytes, header included.
    public init(from sender: Role, frameLengthMax: Int) {
        self.sender = sender
        self.frameLengthMax = frameLengthMax
    }

    /// What lies at the front of the bytes.
    public enum Step: Sendable, Equatable {
        /// A frame, and how many bytes it took.
        case frame(Frame, length: Int)
        /// Part of a frame that will have this many bytes; 0 while even its header is incomplete.
        case incomplete(needed: Int)
        /// A frame of a type this version doesn't know, whose flags say that it may be skipped.
        case skipped(length: Int)
    }

    /// Set in the flags of a frame that a receiver may skip when it doesn't know its type.
    public static let skippableFlag: UInt8 = 0x80

    /// Decodes the frame that begins at `position`.
    ///
    /// - Returns: the frame, or what is missing. Batches in it are windows on `bytes`.
    public func next(in bytes: SharedBytes, at position: Int = 0) throws(WireError) -> Step {
        let available = bytes.count - position
        guard available >= Limits.frameHeaderLength else {
            // The fifth byte is enough to know a length out of bounds and a type that isn't first.
            if available > 4, bodyLength(bytes, at: position) > frameLengthMax - Limits.frameHeaderLength {
                try refuseForeign(bytes, at: position)
            }
            return .incomplete(needed: 0)
        }
        let length = bodyLength(bytes, at: position) + Limits.frameHeaderLength
        let rawType = bytes[position + 4]
        guard length <= frameLengthMax else {
            try refuseForeign(bytes, at: position)
            throw .frameTooLong(length: length, limit: frameLengthMax)
        }
        guard let type = FrameType(rawValue: rawType) else {
            guard bytes[position + 5] & FrameDecoder.skippableFlag != 0 else { throw .unknownFrame(type: rawType) }
            return available >= length ? .skipped(length: length) : .incomplete(needed: length)
        }
        guard type.isFromClient == (sender == .client) else {
            throw .invalid(frame: type, what: "comes from the wrong side")
        }
        guard available >= length else { return .incomplete(needed: length) }
        let frame = try decode(type, bytes, position..<position + length)
        return .frame(frame, length: length)
    }

    /// What the header says of the bytes behind it; its first four must be there.
    private func bodyLength(_ bytes: SharedBytes, at position: Int) -> Int {
        Int(UInt32(littleEndian: bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: position, as: UInt32.self) }))
    }

    /// Before the welcome, a length out of bounds and a type that can't be first are somebody else's protocol.
    private func refuseForeign(_ bytes: SharedBytes, at position: Int) throws(WireError) {
        guard frameLengthMax <= Limits.helloLengthMax else { return }
        switch (sender, FrameType(rawValue: bytes[position + 4])) {
        case (.client, .hello), (.server, .welcome), (.server, .error), (.server, .closing): return
        default: throw .notThisProtocol
        }
    }

    private func decode(_ type: FrameType, _ bytes: SharedBytes, _ range: Range<Int>) throws(WireError) -> Frame {
        var reader = ByteReader(bytes, range: range, frame: type)
        try reader.skip(5, "header")
        let flags: UInt8 = try reader.integer("flags")
        let fixed = Int(try reader.integer("fixed length", as: UInt16.self))
        guard fixed >= type.fixedLength, fixed <= reader.remaining else {
            throw .truncated(frame: type, what: "fixed part")
        }
        let behind = reader.position + fixed
        var tail = ByteReader(bytes, range: behind..<range.upperBound, frame: type)
        switch type {
        case .publish: return .publish(try Publish(&reader, flags: flags, tail: &tail, isLater: false))
        case .publishLater: return .publish(try Publish(&reader, flags: flags, tail: &tail, isLater: true))
        case .deliver: return .deliver(try Deliver(&reader, flags: flags, tail: &tail))
        case .will: return .will(try Will(&reader, flags: flags, tail: &tail))
        case .receipts: return .receipts(try Receipts(&reader, tail: &tail))
        default: return try decodeWithFields(type, flags: flags, &reader, try Fields(reading: &tail, frame: type))
        }
    }

    private func decodeWithFields(
        _ type: FrameType, flags: UInt8, _ reader: inout ByteReader, _ fields: Fields
    ) throws(WireError) -> Frame {
        switch type {
        case .hello: .hello(try Hello(&reader, fields))
        case .welcome: .welcome(try Welcome(&reader, fields))
        case .error: .error(try ErrorFrame(&reader, fields))
        case .goodbye: .goodbye
        case .sync: .sync
        case .closing: try closing(&reader, fields)
        case .openSeal: .openSeal(try OpenSeal(&reader, fields))
        case .sealOpened: .sealOpened(try SealOpened(&reader, fields))
        case .closeSeal: .closeSeal(seal: try reader.integer("seal"))
        case .subscribe: .subscribe(try Subscribe(&reader, fields))
        case .subscribed: .subscribed(subscription: try reader.integer("subscription"))
        case .unsubscribe: .unsubscribe(subscription: try reader.integer("subscription"))
        case .unsubscribed: .unsubscribed(try Unsubscribed(&reader))
        case .credit: .credit(try Credit(&reader))
        case .acknowledge: .acknowledge(try Acknowledge(&reader))
        case .announce: .announce(try Announcement(&reader, flags: flags, fields))
        case .grant: .grant(try Grant(&reader, fields))
        case .gap: .gap(try Gap(&reader, fields))
        case .inspect: .inspect(try Inspect(&reader, fields))
        case .done: try done(&reader)
        case .cancelRequest: .cancelRequest(correlation: try reader.uuid("correlation"))
        case .circuit: .circuit(try Circuit(&reader, fields))
        case .sealLimits: .sealLimits(try SealLimitsChanged(&reader, fields))
        case .unanswered: .unanswered(try Unanswered(&reader))
        case .caughtUp: .caughtUp(try CaughtUp(&reader))
        case .requestCancelled: .requestCancelled(try RequestCancelled(&reader, fields))
        case .inspected: .inspected(try Inspected(&reader, fields))
        case .settle: .settle(try Settle(&reader, fields))
        case .administer: .administer(try Administer(&reader, fields))
        case .administered: .administered(try Administered(&reader))
        case .publish, .publishLater, .deliver, .will, .receipts:
            preconditionFailure("decoded before: these have no fields")
        }
    }

    private func done(_ reader: inout ByteReader) throws(WireError) -> Frame {
        let type: UInt8 = try reader.integer("frame type")
        try reader.skip(7, "reserved")
        return .done(inReplyTo: type, request: try reader.integer("request"))
    }

    private func closing(_ reader: inout ByteReader, _ fields: Fields) throws(WireError) -> Frame {
        .closing(
            reason: Reason(rawValue: try reader.integer("reason")),
            message: try fields.text(.message, lengthMax: Limits.messageLengthMax))
    }
}
