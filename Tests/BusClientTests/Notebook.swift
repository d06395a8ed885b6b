import BusTesting
import BusWire

@testable import BusClient

/// Between a client and a daemon: durable subscriptions become live ones on their way there, and what is said of
/// deliveries is noted and goes no further. What a daemon makes of it is tested elsewhere.
final class Notebook: Sendable {
    let sent = Noted([Frame]())
    /// What the daemon is said to wait for an acknowledgement.
    let wait = Noted<UInt64?>(nil)
    /// Frames to the client are changed by this.
    let change = Noted<@Sendable (Frame) -> Frame>({ $0 })
    /// Whether the daemon is said to know some events of a batch of several.
    let knowsSome = Noted(false)
    /// In place of a frame that is to be lost.
    static let nothing = Frame.sealLimits(SealLimitsChanged(seal: 0, batchLengthMax: 1, batchEventCountMax: 1))

    func relay(_ bus: TestBus) throws -> Relay {
        try Relay(bus.directory.path + "/relay", to: bus.socket) { direction, bytes in
            let decoder = FrameDecoder(from: direction == .toServer ? .client : .server, frameLengthMax: 4 << 20)
            guard case .frame(let frame, _) = try? decoder.next(in: SharedBytes(bytes), at: 0) else { return bytes }
            switch direction {
            case .toServer: return self.toServer(frame)
            case .toClient: return self.toClient(frame)
            }
        }
    }

    private func toServer(_ frame: Frame) -> [UInt8] {
        switch frame {
        case .subscribe(var subscribe):
            sent.change { $0.append(frame) }
            (subscribe.durableName, subscribe.start, subscribe.settings) = ([], nil, [])
            subscribe.mode = []
            if subscribe.filter.isEmpty { subscribe.filter = Array("jobs".utf8) }
            return Frame.subscribe(subscribe).encoded
        case .settle, .acknowledge, .credit:
            sent.change { $0.append(frame) }
            if case .credit = frame { return frame.encoded }
            return []
        case .publish(var publish):
            sent.change { $0.append(frame) }
            if knowsSome.value, let header = try? SealedBatch(publish.batch).header, header.eventCount > 1 {
                // No version a daemon knows: it is refused, and why is changed on the way back.
                publish.batch = SharedBytes([9] + publish.batch.array.dropFirst())
            }
            return Frame.publish(publish).encoded
        default: return frame.encoded
        }
    }

    private func toClient(_ frame: Frame) -> [UInt8] {
        if case .error(var error) = frame, error.reason == .malformedBatch {
            error.reason = .partlyKnown
            return Frame.error(error).encoded
        }
        guard case .error(let error) = frame, error.inReplyTo == FrameType.inspect.rawValue, let wait = wait.value
        else {
            return change.value(frame).encoded
        }
        let row = [InspectedValue("ack-wait", wait), InspectedValue("filter", "jobs.of.its.own")]
        return Frame.inspected(Inspected(request: UInt32(error.request), rows: [row])).encoded
    }

    /// What was said of deliveries, shortly: `through 3`, `retry 1 [0, 2] 500 why`.
    var words: [String] {
        sent.value.compactMap { frame in
            switch frame {
            case .acknowledge(let acknowledge): return "through \(acknowledge.delivery)"
            case .settle(let settle):
                let places = (0..<64).filter { place in
                    settle.selection.array.count > place >> 3
                        && settle.selection.array[place >> 3] & (1 << UInt8(place & 7)) != 0
                }
                let events = settle.selection.isEmpty ? "all" : "\(places)"
                let delay = settle.delayMilliseconds == 0 ? "" : " \(settle.delayMilliseconds)"
                let message = settle.message.isEmpty ? "" : " \(settle.message)"
                let name = Settlement(rawValue: settle.settlement).map { "\($0)" } ?? "?"
                return "\(name) \(settle.delivery) \(events)\(delay)\(message)"
            default: return nil
            }
        }
    }

    var subscribes: [Subscribe] {
        sent.value.compactMap { if case .subscribe(let subscribe) = $0 { subscribe } else { nil } }
    }
    var publishes: [Publish] {
        sent.value.compactMap { if case .publish(let publish) = $0 { publish } else { nil } }
    }
    var credits: [UInt64] {
        sent.value.compactMap { if case .credit(let credit) = $0 { credit.events } else { nil } }
    }
}
