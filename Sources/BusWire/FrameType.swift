// The kinds of frames and their numbers on the wire.

/// A frame's kind. Numbers below 0x10 belong to the connection, 0x1_ to publishing, 0x2_ to subscribing,
/// 0x3_ to inspection and the end.
public enum FrameType: UInt8, Sendable, CaseIterable {
    /// Client: I speak these versions; here is my key.
    case hello = 0x01
    /// Daemon: we speak this one; here are mine and the limits.
    case welcome = 0x02
    /// Daemon: something you sent was refused.
    case error = 0x03
    /// Client: I'm done; close when everything before this has been handled.
    case goodbye = 0x04
    /// Daemon: I'm going down; everything before this has been handled.
    case closing = 0x05
    /// Daemon: what you asked for is done, and there is nothing more to say of it.
    case done = 0x06

    /// Client: I want to publish on this topic.
    case openSeal = 0x10
    /// Daemon: here is your seal's number and its key.
    case sealOpened = 0x11
    /// Client: this seal won't be used again.
    case closeSeal = 0x12
    /// Client: a batch.
    case publish = 0x13
    /// Daemon: up to here all is handled, and these are the receipts.
    case receipts = 0x14
    /// Client: tell me now how far you are.
    case sync = 0x15
    /// Client: publish this batch for me when I'm gone without a goodbye.
    case will = 0x16
    /// Client: nobody waits for an answer to this request any more.
    case cancelRequest = 0x17
    /// Client: I ask nobody on this topic for a while, or do again.
    case circuit = 0x18
    /// Client: a batch that is to be published later.
    case publishLater = 0x19
    /// Daemon: from now on batches of this seal may be this long.
    case sealLimits = 0x1a
    /// Daemon: one of those who had your request won't answer it.
    case unanswered = 0x1b

    /// Client: I want what matches this filter.
    case subscribe = 0x20
    /// Daemon: from now on you get it.
    case subscribed = 0x21
    /// Client: no more of this.
    case unsubscribe = 0x22
    /// Daemon: this was the last of it.
    case unsubscribed = 0x23
    /// Client: I'm ready for this much.
    case credit = 0x24
    /// Client: I've handled everything up to here.
    case acknowledge = 0x25
    /// Client: this is what became of a delivery, or of some of its events.
    case settle = 0x26
    /// Daemon: whose seal that number is.
    case announce = 0x28
    /// Daemon: a topic's secret.
    case grant = 0x29
    /// Daemon: a batch.
    case deliver = 0x2a
    /// Daemon: you missed something.
    case gap = 0x2b
    /// Daemon: what was kept for you is delivered; what follows is new.
    case caughtUp = 0x2c
    /// Daemon: nobody waits any more for your answer to this request.
    case requestCancelled = 0x2d

    /// Client: tell me about yourself.
    case inspect = 0x30
    /// Daemon: this is how I am.
    case inspected = 0x31
    /// Client: change this of what is stored.
    case administer = 0x32
    /// Daemon: it is done, and on disk.
    case administered = 0x33

    /// The name in the documents and in errors.
    public var name: String { "\(self)" }

    /// Whether only clients send it.
    public var isFromClient: Bool {
        switch self {
        case .hello, .goodbye, .openSeal, .closeSeal, .publish, .sync, .will, .cancelRequest, .circuit, .publishLater,
            .subscribe, .unsubscribe, .credit, .acknowledge, .settle, .inspect, .administer:
            true
        case .welcome, .error, .closing, .done, .sealOpened, .receipts, .sealLimits, .unanswered, .subscribed,
            .unsubscribed, .announce, .grant, .deliver, .gap, .caughtUp, .requestCancelled, .inspected,
            .administered:
            false
        }
    }

    /// Length of the fixed part in version 1; a later version may lengthen it, and what it adds is skipped here.
    var fixedLength: Int {
        switch self {
        case .hello: 72
        case .welcome: 108
        case .error: 16
        case .goodbye: 0
        case .closing: 4
        case .done: 16
        case .openSeal: 36
        case .sealOpened: 36
        case .closeSeal: 8
        case .publish: 8
        case .receipts: 16
        case .sync: 0
        case .will: 8
        case .cancelRequest: 16
        case .circuit: 4
        case .publishLater: 16
        case .sealLimits: 16
        case .unanswered: 20
        case .subscribe: 40
        case .subscribed: 4
        case .unsubscribe: 4
        case .unsubscribed: 24
        case .credit: 20
        case .acknowledge: 12
        case .settle: 24
        case .announce: 68
        case .grant: 16
        case .deliver: 36
        case .gap: 32
        case .caughtUp: 12
        case .requestCancelled: 16
        case .inspect: 8
        case .inspected: 8
        case .administer: 8
        case .administered: 16
        }
    }
}

/// Who is at the other end of a connection.
public enum Role: Sendable {
    /// An application.
    case client
    /// The daemon.
    case server
}
