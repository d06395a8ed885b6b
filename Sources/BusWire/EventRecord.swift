// What is inside the seal: one record an event, one behind the other.
//
//   u32 length    of what follows
//   i64 time      publisher's, microseconds since 1970
//   u16 headers   how many; then of each: u8 name length, u16 value length, name, value
//   payload       the rest

/// One event's plaintext record.
public struct EventRecord: Sendable {
    /// The publisher's time, microseconds since 1970.
    public let time: Int64
    /// How many headers there are.
    public let headerCount: Int
    /// The headers' bytes, checked.
    private let headerBytes: SharedBytes
    /// The payload.
    public let payload: SharedBytes

    /// A record without headers and payload: length, time, header count.
    public static let lengthMin = 14

    /// Bytes of a record with so long a payload and these headers.
    public static func length(ofPayload payloadLength: Int, headers: [EventHeader]) -> Int {
        headers.reduce(lengthMin + payloadLength) { $0 + 3 + $1.name.utf8.count + $1.value.utf8.count }
    }

    /// The headers in the publisher's order; `content-type`, `traceparent` and `schema` are reserved names.
    public var headers: [EventHeader] {
        var list: [EventHeader] = []
        guard headerCount > 0 else { return list }
        var reader = ByteReader(headerBytes, range: 0..<headerBytes.count, frame: nil)
        for _ in 0..<headerCount {
            // Cannot fail: the same bytes were read in `next`.
            guard let header = try? EventHeader(&reader) else { break }
            list.append(header)
        }
        return list
    }

    /// Reads the record at `position` of an opened body and moves behind it.
    public static func next(in body: SharedBytes, at position: inout Int) throws(WireError) -> EventRecord {
        var outer = ByteReader(body, range: position..<body.count, frame: nil)
        let length: UInt32 = try outer.integer("event length")
        guard outer.remaining >= Int(length) else { throw .malformedBatch("ends within its event") }
        var reader = ByteReader(body, range: outer.position..<outer.position + Int(length), frame: nil)
        let time: Int64 = try reader.integer("time")
        let count = Int(try reader.integer("header count", as: UInt16.self))
        guard count <= Limits.headerCountMax else {
            throw .malformedBatch("an event with \(count) headers, at most \(Limits.headerCountMax) are allowed")
        }
        let start = reader.position
        for _ in 0..<count {
            let name: UInt8 = try reader.integer("header name length")
            let value: UInt16 = try reader.integer("header value length")
            guard name > 0 else { throw .malformedBatch("an event header without a name") }
            let both = Int(name) + Int(value)
            guard both <= Limits.headerLengthMax else {
                throw .malformedBatch(
                    "an event header of \(both) bytes, at most \(Limits.headerLengthMax) are allowed")
            }
            try reader.skip(both, "header")
        }
        let headerBytes = count == 0 ? SharedBytes.empty : body.slice(start..<reader.position)
        position = outer.position + Int(length)
        return EventRecord(
            time: time, headerCount: count, headerBytes: headerBytes, payload: body.slice(reader.position..<position))
    }

    /// Appends a record to `out`.
    ///
    /// - Parameters:
    ///   - headers: already checked by `EventHeader.check`.
    ///   - payload: any bytes.
    public static func append(
        time: Int64, headers: [EventHeader], payload: UnsafeRawBufferPointer, to out: inout [UInt8]
    ) {
        // The length is of what follows it.
        out.put(UInt32(length(ofPayload: payload.count, headers: headers) - MemoryLayout<UInt32>.size))
        out.put(time)
        out.put(UInt16(headers.count))
        for header in headers {
            out.put(UInt8(header.name.utf8.count))
            out.put(UInt16(header.value.utf8.count))
            out.append(contentsOf: header.name.utf8)
            out.append(contentsOf: header.value.utf8)
        }
        out.append(contentsOf: payload)
    }
}

/// A name and a value that travel with an event, inside the seal.
public struct EventHeader: Sendable, Equatable {
    /// At most 255 bytes, not empty.
    public var name: String
    /// With the name at most 4 KiB.
    public var value: String

    /// A header of these parts.
    public init(_ name: String, _ value: String) {
        self.name = name
        self.value = value
    }

    fileprivate init(_ reader: inout ByteReader) throws(WireError) {
        let nameLength: UInt8 = try reader.integer("header name length")
        let valueLength: UInt16 = try reader.integer("header value length")
        name = String(decoding: try reader.array(Int(nameLength), "header name"), as: UTF8.self)
        value = String(decoding: try reader.array(Int(valueLength), "header value"), as: UTF8.self)
    }

    /// What is wrong with these headers, or nil.
    public static func fault(in headers: [EventHeader]) -> String? {
        if headers.count > Limits.headerCountMax {
            return "\(headers.count) headers, at most \(Limits.headerCountMax) are allowed"
        }
        for header in headers {
            if header.name.isEmpty { return "a header without a name" }
            let length = header.name.utf8.count + header.value.utf8.count
            let name = header.name.prefix(40)
            if header.name.utf8.count > 255 {
                return "header name \(name)… has \(header.name.utf8.count) bytes, at most 255 are allowed"
            }
            if length > Limits.headerLengthMax {
                return "header \(name) has \(length) bytes, at most \(Limits.headerLengthMax) are allowed"
            }
        }
        return nil
    }
}
