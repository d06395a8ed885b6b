// The payload all buses are measured with: u64 publisher, u64 sequence from 0, with a rate u64 nanoseconds of the
// send; little-endian; then anything.

import BusClient
import BusTransport
import Glibc

/// A payload that is written again for each event.
struct BenchPayload {
    private(set) var bytes: [UInt8]

    /// - Parameter size: in bytes; what doesn't fit isn't written.
    init(size: Int, publisher: UInt64) {
        bytes = [UInt8](repeating: 0, count: size)
        put(publisher, at: 0)
    }

    mutating func put(_ value: UInt64, at offset: Int) {
        guard offset + 8 <= bytes.count else { return }
        bytes.withUnsafeMutableBytes { $0.storeBytes(of: value.littleEndian, toByteOffset: offset, as: UInt64.self) }
    }

    /// The number at `offset` of a received payload, or nil.
    @inline(__always)
    static func number(at offset: Int, of payload: UnsafeRawBufferPointer) -> UInt64? {
        guard offset + 8 <= payload.count else { return nil }
        return UInt64(littleEndian: payload.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
    }
}

/// CLOCK_MONOTONIC.
func nanoseconds() -> UInt64 { UInt64(MonotonicInstant.now().nanoseconds) }

/// Latencies: one u32 of nanoseconds an event, little-endian, in a file that the driver reads.
struct BenchSamples {
    private var values: [UInt32] = []
    private let path: String?

    init(path: String?, capacity: Int) {
        self.path = path
        if path != nil { values.reserveCapacity(capacity) }
    }

    mutating func add(_ nanoseconds: UInt64) {
        if path != nil { values.append(UInt32(clamping: nanoseconds)) }
    }

    func write() {
        guard let path else { return }
        let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { return }
        values.withUnsafeBytes { Standard.write(Array($0), to: descriptor) }
        close(descriptor)
    }
}

/// What the processes of a benchmark have in common.
enum Bench {
    /// A topic as the driver spells it, with our dots.
    static func topic(_ name: String) -> String { name.replacing("/", with: ".") }

    static func ready() { Standard.output("{\"ready\":true}\n") }

    /// Nothing may be lost, so publishers wait for subscribers: as the harness demands of a bus with back pressure.
    static var lossless: SubscribeOptions {
        var options = SubscribeOptions()
        options.overflow = .stall
        options.stallTime = .seconds(60)
        options.queueEventCount = 65_536
        options.queueLength = 4 << 20
        options.creditEvents = 262_144
        options.creditBytes = 16 << 20
        return options
    }
}
