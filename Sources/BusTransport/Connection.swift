// One end of a Unix stream socket on a reactor.
//
// Guarantees that bytes reach the owner in order and are copied once, from the kernel into storage that can be
// shared (a frame's beginning at most once more); that all writes of a round leave in one `sendmsg`; that the
// descriptor is closed once, here; and that the owner hears of the end exactly once, never from inside a call of
// its own. Keeps what the kernel would not take yet and an unfinished frame, nothing else: idle, it is one object of
// about 200 bytes. Leaves framing, limits on frames, deadlines and credit to the owner.
//
// Descriptors that a peer sends along are closed by the kernel, because input is read without a control buffer.
//
// The states, by what they hold:
//   open      descriptor; reads if `isReading`, writes what is in `outbox`
//   closing   as open, but reads no more; ends when the outbox is empty (asked to close), or after the flush of
//             this round whatever is left (the peer has closed)
//   ended     no descriptor; the owner is told in this round's report, and let go

public import BusWire
import CLinux
import Glibc
public import SystemPackage

/// What a connection's owner has to say about bytes it was shown.
public struct Consumption: Equatable, Sendable {
    /// Bytes that need not be shown again.
    public var consumed: Int
    /// Length of the frame whose beginning follows them, 0 if that cannot be told yet.
    public var needed: Int

    /// `needed` must be bounded by the owner: so much storage may be allocated for the frame at once.
    public init(consumed: Int, needed: Int = 0) {
        self.consumed = consumed
        self.needed = needed
    }
}

/// Who reads from and writes to a connection. Called on the reactor.
public protocol ConnectionOwner: AnyObject {
    /// Bytes have come: what was left last time, then the new ones. Valid as long as somebody holds them.
    ///
    /// Called at most once per round and connection. What is not consumed is shown again with the bytes that
    /// follow, or at once after `isReading` was switched off and on.
    func connection(_ connection: Connection, received bytes: SharedBytes) -> Consumption

    /// Everything written so far is in the kernel. `afterBlocking` says that it did not go at the first attempt,
    /// so whoever was told to wait can go on.
    func connectionDrained(_ connection: Connection, afterBlocking: Bool)

    /// The kernel takes no more for now; `connectionDrained` follows when it has taken everything.
    func connectionBlocked(_ connection: Connection)

    /// The connection has ended; it lets its owner go after this call.
    func connectionClosed(_ connection: Connection, reason: CloseReason)
}

/// A connected socket. Confined to its reactor.
public final class Connection: @unchecked Sendable {
    enum Phase: UInt8 { case open, closing, peerClosed, ended }

    let reactor: Reactor
    private(set) var owner: (any ConnectionOwner)?
    private let rawDescriptor: CInt
    private let registration: Registration
    private var interest: UInt32? = EPOLLIN.rawValue
    private(set) var phase = Phase.open
    private var reason = CloseReason.closedByOwner

    /// Whose time reading it takes; nil where nobody is to be kept from taking too much (see FairTurns).
    public var principal: UInt32? {
        didSet { if phase != .ended { reactor.notePrincipal(from: oldValue, to: principal) } }
    }

    // Receiving. The beginning of a short frame waits in `tail`, a long one is put together in `assembly`.
    var wantsToRead = true
    var awaitsRedelivery = false
    var tail: SharedBytes?
    var assembly: ByteStorage?
    var assembled = 0

    /// Bytes that one read may bring, and what the last one cost, in nanoseconds (see `adjustRoom`).
    var roomMax = Connection.unboundedRoom
    var readCost: Int64 = 0

    // Sending.
    var outbox: Outbox?
    var isDirty = false
    /// The kernel did not take everything; EPOLLOUT is asked for.
    public internal(set) var isBlocked = false
    /// EPOLLOUT has come.
    var mayTryAgain = false
    var wasBlocked = false
    /// The peer no longer reads: what is written is dropped, what it sent is still read.
    public internal(set) var isWriteClosed = false
    /// Bytes the kernel has taken since the beginning.
    public internal(set) var bytesAccepted: UInt64 = 0

    /// Takes over a connected stream socket, in blocking mode or not, and begins to read from it.
    ///
    /// The owner is kept alive until it has been told of the end.
    public init(
        adopting descriptor: consuming OwnedDescriptor, on reactor: Reactor, owner: any ConnectionOwner
    ) throws(TransportError) {
        reactor.preconditionConfined()
        // The slot must know the connection and the connection its slot: the descriptor goes in without a source.
        let borrowed = descriptor.borrowed
        registration = try reactor.poller.add(borrowed, events: EPOLLIN.rawValue)
        self.reactor = reactor
        self.owner = owner
        rawDescriptor = descriptor.release().rawValue
        reactor.poller.setSource(registration, .connection(self))
    }

    /// Connects to a daemon's socket. Never waits: a Unix socket connects at once or not at all.
    public static func connect(
        to path: String, on reactor: Reactor, owner: any ConnectionOwner
    ) throws(TransportError) -> Connection {
        try Connection(adopting: SocketPath(path).connect(), on: reactor, owner: owner)
    }

    deinit { precondition(phase == .ended, "the reactor holds a connection until it has ended") }

    // MARK: Who and what

    /// The socket, to look at but not to read, write or close; nil when the connection has ended.
    public var descriptor: FileDescriptor? { phase == .ended ? nil : FileDescriptor(rawValue: rawDescriptor) }

    var fd: CInt { rawDescriptor }

    /// The peer by the kernel's word, as of `connect` or `listen`.
    public func peerCredentials() throws(TransportError) -> PeerCredentials {
        guard let descriptor else { throw .system(operation: "SO_PEERCRED", path: nil, .badFileDescriptor) }
        return try PeerCredentials(of: descriptor)
    }

    /// A pidfd of the peer; nil where the kernel has none or the peer is gone. Not kept.
    public func openPeerPidfd() -> OwnedDescriptor? {
        guard let descriptor else { return nil }
        return PeerCredentials.openPidfd(of: descriptor)
    }

    /// Sets how many bytes the kernel may hold for the peer, charged to us. The kernel doubles it for its own
    /// bookkeeping and bounds it by `net.core.wmem_max`.
    public func setSendBuffer(_ bytes: Int) {
        guard phase != .ended else { return }
        _ = linux_set_socket_option(fd, SO_SNDBUF, CInt(clamping: bytes))
    }

    /// Whether bytes can still be written with a hope to arrive.
    public var isOpen: Bool { phase == .open }

    /// Bytes of storage this connection keeps for itself or keeps others from freeing.
    public var heldBytes: Int {
        (tail?.storage.capacity ?? 0) + (assembly?.capacity ?? 0) + (outbox?.pinned ?? 0)
    }

    // MARK: Events

    func ready(_ events: UInt32) {
        if events & EPOLLOUT.rawValue != 0 && isBlocked {
            mayTryAgain = true
            markDirty()
        }
        guard events & (EPOLLIN.rawValue | EPOLLHUP.rawValue | EPOLLERR.rawValue) != 0 else { return }
        if phase == .open && wantsToRead {
            receive()
        } else if events & (EPOLLHUP.rawValue | EPOLLERR.rawValue) != 0 {
            hangUpUnread()
        }
    }

    /// The peer is gone and we do not read: the kernel would report it in every round. While closing, nobody is
    /// left to flush to. While paused, what it sent is still to be read, so only the reports are stopped.
    private func hangUpUnread() {
        if phase == .open {
            setInterest(nil)
        } else {
            finish(.peerClosed(incompleteBytes: 0))
        }
    }

    func updateInterest() {
        var events: UInt32 = 0
        if phase == .open && wantsToRead { events |= EPOLLIN.rawValue }
        if isBlocked { events |= EPOLLOUT.rawValue }
        setInterest(events)
    }

    private func setInterest(_ events: UInt32?) {
        guard phase != .ended, events != interest else { return }
        reactor.poller.modify(
            registration, FileDescriptor(rawValue: rawDescriptor), from: interest, to: events)
        interest = events
    }

    // MARK: The end

    /// Closes the connection: at once, or when the kernel has taken what was written.
    ///
    /// How long the flush may take is the owner's to bound, by `close(flushing: false)` at its deadline.
    public func close(flushing: Bool) {
        reactor.preconditionConfined()
        guard phase != .ended else { return }
        if flushing && outbox != nil {
            guard phase == .open else { return }
            phase = .closing
            updateInterest()
        } else {
            finish(.closedByOwner)
        }
    }

    /// The peer has closed and everything it sent has been read. Answers given in this round still leave.
    func endOfInput() {
        let incomplete = assembly == nil ? (tail?.count ?? 0) : assembled
        reason = .peerClosed(incompleteBytes: incomplete)
        phase = .peerClosed
        updateInterest()
        markDirty()
    }

    /// After a flush: whether this was the last one.
    func finishIfFlushed() {
        if phase == .peerClosed {
            finish(reason)
        } else if phase == .closing && outbox == nil {
            finish(.closedByOwner)
        }
    }

    /// The one place where the descriptor is closed.
    func finish(_ reason: CloseReason) {
        guard phase != .ended else { return }
        self.reason = reason
        reactor.poller.remove(registration, FileDescriptor(rawValue: rawDescriptor))
        phase = .ended
        reactor.notePrincipal(from: principal, to: nil)
        _ = Glibc.close(rawDescriptor)
        dropOutbox()
        tail = nil
        assembly = nil
        reactor.noteEnded(self)
    }

    func reportEnd() {
        guard let owner else { return }
        self.owner = nil
        owner.connectionClosed(self, reason: reason)
    }
}
