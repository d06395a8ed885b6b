// The socket that new connections come from.
//
// Guarantees that of two daemons started at once one gets the path and the other an error; that nothing but a dead
// socket of our own user is ever replaced; that connections are accepted in bounded numbers per round; and that a full
// descriptor table neither spins nor leaves peers hanging: a reserve descriptor is given up to accept them, say so,
// and close. Keeps the listening descriptor, the path's lock and the reserve. Leaves it to its owner whom to serve.

import CLinux
import Glibc
public import SystemPackage

/// Who takes new connections. Called on the reactor.
public protocol ListenerOwner: AnyObject {
    /// A peer has connected; dropping the descriptor closes the connection.
    ///
    /// - Returns: whether it was taken. Where one isn't, no more time goes into accepting than one user's share.
    func listener(_ listener: Listener, accepted descriptor: consuming OwnedDescriptor) -> Bool

    /// So many peers were turned away since the last report, because the process has no descriptor left or the
    /// system refuses. At most one report per second.
    func listener(_ listener: Listener, turnedAway count: Int, because error: TransportError)
}

/// A listening Unix stream socket. Confined to its reactor.
public final class Listener: @unchecked Sendable {
    /// So many connections are accepted per round, so that a stampede does not keep sessions waiting. Not tuned.
    static let acceptsPerRoundMax = 64
    /// How long accepting may take in a round where others wait: a fifth of a user's turn. Not tuned.
    private static let turn = Duration.nanoseconds(FairTurns.quantum / 5)
    /// Connections the kernel lets wait; it takes no more than `net.core.somaxconn` (4096 since Linux 5.4).
    static let backlog: CInt = 4096
    /// How long accepting rests when the system refuses and the reserve does not help. Not tuned.
    private static let rest = Duration.milliseconds(100)
    private static let reportInterval = Duration.seconds(1)

    private let reactor: Reactor
    private var owner: (any ListenerOwner)?
    private let rawDescriptor: CInt
    private var registration: Registration?
    private var claim: SocketClaim?
    private var reserve: CInt
    private var turnedAway = 0
    private var lastError = TransportError.descriptorTableFull(operation: "accept")
    private var reportTimer: DeadlineTimer?
    private var restTimer: DeadlineTimer?

    /// Written to a peer that is turned away because the descriptor table is full.
    public var refusal: [UInt8] = []

    /// Listens on `path`. A dead socket of our own user is replaced, everything else found there is an error.
    ///
    /// The directory must be writable by nobody else: its owner decides what lies in it.
    public convenience init(
        path: String, mode: FilePermissions, on reactor: Reactor, owner: any ListenerOwner
    ) throws(TransportError) {
        var claim = try SocketClaim(path)
        let socket = try claim.listen(mode: mode, backlog: Self.backlog)
        try self.init(socket: socket, claim: claim, on: reactor, owner: owner)
    }

    /// Takes over a listening socket, for example from systemd. Its path stays whose it is.
    public convenience init(
        adopting descriptor: consuming OwnedDescriptor, on reactor: Reactor, owner: any ListenerOwner
    ) throws(TransportError) {
        let fd = descriptor.borrowed.rawValue
        guard Self.option(fd, SO_DOMAIN) == AF_UNIX, Self.option(fd, SO_ACCEPTCONN) == 1,
            Self.option(fd, SO_TYPE) == CInt(SOCK_STREAM.rawValue)
        else { throw .inheritedDescriptorUnsuitable(descriptor: fd) }
        // An accept that waits would stop the reactor when the peer is gone before we come to it.
        let flags = fcntl(fd, F_GETFL)
        guard fcntl(fd, F_SETFL, flags | O_NONBLOCK) >= 0, fcntl(fd, F_SETFD, FD_CLOEXEC) >= 0 else {
            throw .from(-Int(Glibc.errno), operation: "fcntl")
        }
        try self.init(socket: descriptor, claim: nil, on: reactor, owner: owner)
    }

    private init(
        socket: consuming OwnedDescriptor, claim: consuming SocketClaim?, on reactor: Reactor, owner: any ListenerOwner
    ) throws(TransportError) {
        reactor.preconditionConfined()
        let registration = try reactor.poller.add(socket.borrowed, events: EPOLLIN.rawValue)
        self.reactor = reactor
        self.owner = owner
        self.claim = claim
        self.registration = registration
        rawDescriptor = socket.release().rawValue
        reserve = Self.openReserve()
        reactor.poller.setSource(registration, .listener(self))
    }

    private static func option(_ fd: CInt, _ option: CInt) -> CInt? {
        var value: CInt = 0
        return linux_socket_option(fd, option, &value) >= 0 ? value : nil
    }

    /// The listening socket, to hand over but not to close; nil once closed.
    public var descriptor: FileDescriptor? { registration == nil ? nil : FileDescriptor(rawValue: rawDescriptor) }

    /// Whether connections are accepted; otherwise they wait in the kernel.
    public var isAccepting = true {
        didSet { if isAccepting != oldValue { setInterest(isAccepting) } }
    }

    private func setInterest(_ on: Bool) {
        reactor.preconditionConfined()
        guard let registration else { return }
        // Going by a zero mask keeps the slot; a listening socket reports no hang-up unasked.
        reactor.poller.modify(
            registration, FileDescriptor(rawValue: rawDescriptor), from: 0, to: on ? EPOLLIN.rawValue : 0)
    }

    /// Stops listening, and removes the socket file if it is still the one made here. Twice is harmless.
    public func close() {
        reactor.preconditionConfined()
        guard let registration else { return }
        self.registration = nil
        reactor.poller.remove(registration, FileDescriptor(rawValue: rawDescriptor))
        claim?.unlink()
        claim = nil
        _ = Glibc.close(rawDescriptor)
        if reserve >= 0 { _ = Glibc.close(reserve) }
        reportTimer?.disarm()
        restTimer?.disarm()
        owner = nil
    }

    // MARK: Accepting

    func ready() {
        let end = MonotonicInstant.now() + Self.turn
        var isShared = reactor.principals.count > 1
        for number in 0..<Self.acceptsPerRoundMax {
            // Nobody knows whose connections wait; whoever they are, they take no more than a part of one user's turn.
            if number > 0, isShared, MonotonicInstant.now() >= end { return }
            guard isAccepting, registration != nil, let owner else { return }
            let result = linux_accept(rawDescriptor)
            if result >= 0 {
                if !owner.listener(self, accepted: OwnedDescriptor(raw: result)) { isShared = true }
                continue
            }
            switch -result {
            case EAGAIN: return
            case ECONNABORTED, EINTR: continue
            case EMFILE, ENFILE:
                guard turnOneAway() else { return takeRest(after: result) }
            default: return takeRest(after: result)
            }
        }
    }

    /// Tells a peer why it isn't served, as far as its socket takes that at once, and closes it.
    public func turnAway(_ descriptor: consuming OwnedDescriptor, saying bytes: [UInt8]) {
        let raw = descriptor.borrowed.rawValue
        _ = bytes.withUnsafeBytes { linux_send(raw, $0.baseAddress, $0.count) }
    }

    /// Accepts one connection with the reserve descriptor, refuses it and takes the reserve back.
    private func turnOneAway() -> Bool {
        guard reserve >= 0 else { return false }
        _ = Glibc.close(reserve)
        let result = linux_accept(rawDescriptor)
        if result >= 0 {
            // What does not fit into a fresh socket's buffer is no polite refusal; the rest is not waited for.
            _ = refusal.withUnsafeBytes { linux_send(result, $0.baseAddress, $0.count) }
            _ = Glibc.close(result)
            noteTurnedAway(1, because: .descriptorTableFull(operation: "accept"))
        }
        reserve = Self.openReserve()
        return result >= 0 && reserve >= 0
    }

    private static func openReserve() -> CInt { linux_open("/dev/null", O_RDONLY, 0) }

    /// The system refuses and would again at once: level-triggered, the reactor would do nothing else.
    private func takeRest(after result: CInt) {
        noteTurnedAway(0, because: .from(Int(result), operation: "accept"))
        setInterest(false)
        let timer = restTimer ?? DeadlineTimer(on: reactor) { [weak self] in self?.endRest() }
        restTimer = timer
        timer.arm(at: .now() + Self.rest)
    }

    private func endRest() {
        if reserve < 0 { reserve = Self.openReserve() }
        if isAccepting { setInterest(true) }
    }

    private func noteTurnedAway(_ count: Int, because error: TransportError) {
        turnedAway += count
        lastError = error
        guard reportTimer?.isArmed != true else { return }
        let timer = reportTimer ?? DeadlineTimer(on: reactor) { [weak self] in self?.reportTurnedAway() }
        reportTimer = timer
        timer.arm(at: .now())
    }

    /// Comes at the end of the round of the first refusal, then a second later if there were more.
    private func reportTurnedAway() {
        guard let owner else { return }
        let count = turnedAway
        turnedAway = 0
        owner.listener(self, turnedAway: count, because: lastError)
        guard count > 0 else { return }
        reportTimer?.arm(at: .now() + Self.reportInterval)
    }
}
