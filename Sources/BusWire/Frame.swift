// The unit of the wire: eight bytes of header, a fixed part by type, then fields or a batch.
//
//   u32 length   bytes after this header
//   u8  type
//   u8  flags    by type; unknown ones are ignored
//   u16 fixed    length of the fixed part; at least what this version knows, the rest of it is skipped
//
// All numbers are little-endian, UUIDs in network order.

/// One frame, decoded.
public enum Frame: Sendable, Equatable {
    case hello(Hello)
    case welcome(Welcome)
    case error(ErrorFrame)
    case goodbye
    case closing(reason: Reason, message: String)
    case done(inReplyTo: UInt8, request: UInt64)
    case openSeal(OpenSeal)
    case sealOpened(SealOpened)
    case closeSeal(seal: UInt64)
    case publish(Publish)
    case receipts(Receipts)
    case sync
    case will(Will)
    case cancelRequest(correlation: BusUUID)
    case circuit(Circuit)
    case sealLimits(SealLimitsChanged)
    case unanswered(Unanswered)
    case subscribe(Subscribe)
    case subscribed(subscription: UInt32)
    case unsubscribe(subscription: UInt32)
    case unsubscribed(Unsubscribed)
    case credit(Credit)
    case acknowledge(Acknowledge)
    case settle(Settle)
    case announce(Announcement)
    case grant(Grant)
    case deliver(Deliver)
    case gap(Gap)
    case caughtUp(CaughtUp)
    case requestCancelled(RequestCancelled)
    case inspect(Inspect)
    case inspected(Inspected)
    case administer(Administer)
    case administered(Administered)

    /// What kind it is.
    public var type: FrameType {
        switch self {
        case .hello: .hello
        case .welcome: .welcome
        case .error: .error
        case .goodbye: .goodbye
        case .closing: .closing
        case .done: .done
        case .openSeal: .openSeal
        case .sealOpened: .sealOpened
        case .closeSeal: .closeSeal
        case .publish(let publish): publish.due == nil ? .publish : .publishLater
        case .receipts: .receipts
        case .sync: .sync
        case .will: .will
        case .cancelRequest: .cancelRequest
        case .circuit: .circuit
        case .sealLimits: .sealLimits
        case .unanswered: .unanswered
        case .subscribe: .subscribe
        case .subscribed: .subscribed
        case .unsubscribe: .unsubscribe
        case .unsubscribed: .unsubscribed
        case .credit: .credit
        case .acknowledge: .acknowledge
        case .settle: .settle
        case .announce: .announce
        case .grant: .grant
        case .deliver: .deliver
        case .gap: .gap
        case .caughtUp: .caughtUp
        case .requestCancelled: .requestCancelled
        case .inspect: .inspect
        case .inspected: .inspected
        case .administer: .administer
        case .administered: .administered
        }
    }
}
