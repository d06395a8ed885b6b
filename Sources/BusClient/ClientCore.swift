// The connection's inside: what is shared by publishing and subscribing, and frames handed to whom they concern.
// Everything here runs on the reactor's thread, which is the actor's executor, so that calls are plain calls.
//
// Its other half, ClientCore+Link.swift, connects, shakes hands and comes back.

import BusCrypto
import BusTransport
import BusWire
import Glibc
import Synchronization

/// Confined to its reactor; the actor `BusConnection` is the only door to it from other threads.
final class ClientCore: @unchecked Sendable {
    /// Where the connection stands.
    enum Phase {
        /// No socket: before the first attempt, or waiting for the next.
        case idle
        /// Connected; the welcome is awaited.
        case greeting
        /// Everything is allowed.
        case open
        /// Goodbye was said; the daemon's end of the stream is awaited.
        case leaving
        /// Over for good.
        case ended
    }

    let options: ConnectOptions
    let reactor: Reactor
    let ownsReactor: Bool
    let trust: Trust
    var phase = Phase.idle
    var connection: Connection?
    var decoder = FrameDecoder(from: .server, frameLengthMax: Limits.helloLengthMax)
    var handshake: HandshakeKey?
    var helloBytes: [UInt8] = []
    var keys: ConnectionKeys?
    var welcome: Welcome?
    /// The daemon's life that the last welcome told of.
    var lastIncarnation: BusUUID?
    var attempts = 0
    /// How often a first connection is tried while too many wait to be accepted: with the default backoff some five
    /// seconds, as long as a daemon may take for its welcome.
    static let busyAttemptsMax = 8
    var retry: DeadlineTimer?
    /// Armed while the welcome is awaited.
    var greeting: DeadlineTimer?
    /// Why the daemon said it would close, to tell with the loss.
    var parting: String?
    /// A fatal refusal that trying again can't mend.
    var refusal: BusError?
    /// Whether it ended, for those who aren't on the reactor.
    let isOver = Atomic(false)
    /// Why it ended for good.
    private(set) var failure: BusError?
    var opening: CheckedContinuation<Result<Void, BusError>, Never>?
    var ending: [CheckedContinuation<Void, Never>] = []
    private var scratch: [UInt8] = []
    /// Subscriptions with credit or an acknowledgement to tell at the round's end.
    private var creditDue: [SubscriptionState] = []
    private var isFlushRequested = false
    private var roundWaiters: [CheckedContinuation<Void, Never>] = []

    private(set) lazy var publishing = Publishing(self)
    private(set) lazy var subscribing = Subscribing(self)
    private(set) lazy var requesting = Requesting(self)
    private(set) lazy var responding = Responding(self)
    private(set) lazy var willing = Willing(self)
    private(set) lazy var inspecting = Inspecting(self)
    private(set) lazy var administering = Administering(self)

    init(_ options: ConnectOptions) throws(BusError) {
        self.options = options
        ownsReactor = options.reactor == nil
        trust = Trust(further: options.trustedUID)
        if let shared = options.reactor {
            reactor = shared
        } else {
            do throws(TransportError) {
                reactor = try Reactor(name: "bus client")
            } catch {
                throw .unreachable(path: options.address.path, cause: error)
            }
        }
        if ownsReactor { reactor.start() }
    }

    var isOpen: Bool { phase == .open }
    var publishWindow: Int { Int(welcome?.publishWindow ?? 0) }

    /// Microseconds since 1970.
    var wallClock: Int64 {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        return Int64(now.tv_sec) * 1_000_000 + Int64(now.tv_nsec) / 1000
    }

    /// What no batch may carry is refused before it is gathered.
    func check(payloadLength: Int, _ headers: [EventHeader]) throws(BusError) {
        if let failure { throw failure }
        let limit = Int(welcome?.payloadLengthMax ?? UInt32(Limits.payloadLengthMax))
        guard payloadLength <= limit else {
            throw .tooLarge("a payload of \(payloadLength) bytes, at most \(limit) are allowed on this bus")
        }
        if !headers.isEmpty, let fault = EventHeader.fault(in: headers) { throw .tooLarge(fault) }
    }

    /// As the other `check`, for all of an event.
    func check(_ event: OutgoingEvent) throws(BusError) {
        try check(payloadLength: event.payload.count, event.headers)
        guard let key = event.orderingKey, key.utf8.count > OutgoingEvent.orderingKeyLengthMax else { return }
        throw .tooLarge(
            "an ordering key of \(key.utf8.count) bytes, at most \(OutgoingEvent.orderingKeyLengthMax) are allowed")
    }

    // MARK: Writing

    /// Writes a frame; it leaves at the end of the round. Without a connection it is dropped: what matters is
    /// written again when the connection is back.
    func write(_ frame: Frame) {
        guard phase == .open || phase == .greeting, let connection else { return }
        scratch.removeAll(keepingCapacity: true)
        frame.encode(into: &scratch)
        scratch.withUnsafeBytes { connection.write(copying: $0) }
        let tail = frame.tail
        if !tail.isEmpty { connection.write(tail) }
    }

    /// Makes sure that a round ends soon: what was gathered is looked at then.
    func requestFlush() {
        guard !isFlushRequested else { return }
        isFlushRequested = true
        reactor.requestRound()
    }

    /// The subscription is asked for its frames at the round's end; once, so that it notes that it is due.
    func noteCreditDue(_ state: SubscriptionState) {
        creditDue.append(state)
        requestFlush()
    }

    /// Waits until what was written in this round has been handed to the kernel.
    func nextRound() async {
        await withCheckedContinuation { continuation in
            guard phase != .ended else { return continuation.resume() }
            requestFlush()
            roundWaiters.append(continuation)
        }
    }

    // MARK: Reading

    /// A frame of an authenticated daemon.
    func take(_ frame: Frame) throws(BusError) {
        switch frame {
        case .deliver(let deliver): try subscribing.delivered(deliver)
        case .receipts(let receipts): try publishing.take(receipts)
        case .gap(let gap): try subscribing.missed(gap)
        case .announce(let announcement): try subscribing.announced(announcement)
        case .grant(let grant): try take(grant)
        case .sealOpened(let opened): try take(opened)
        case .subscribed(let number): try subscribing.subscribed(number)
        case .unsubscribed(let end): try subscribing.unsubscribed(end)
        case .caughtUp(let caughtUp): try subscribing.caughtUp(caughtUp)
        case .sealLimits(let limits): publishing.take(limits)
        case .unanswered(let unanswered): requesting.take(unanswered)
        case .requestCancelled(let cancelled): try responding.take(cancelled)
        case .done(let type, let request): try willing.done(type, request)
        case .inspected(let inspected): try inspecting.take(inspected)
        case .administered(let answer): try administering.take(answer)
        case .error(let error): try take(error)
        case .closing(_, let message): parting = message
        default: throw .protocolViolation("a \(frame.type.name) frame where none belongs")
        }
    }

    private func take(_ grant: Grant) throws(BusError) {
        let position = GrantPosition(incarnation: grant.incarnation, counter: grant.counter)
        do throws(CryptoError) {
            let sealed = SealedGrant(position: position, bytes: grant.sealed)
            guard let secret = try keys?.openTopicGrant(sealed, topic: grant.topic, epoch: grant.epoch) else { return }
            subscribing.granted(secret, topic: grant.topic, epoch: grant.epoch)
        } catch {
            throw .protocolViolation("a topic grant doesn't open: \(error)")
        }
    }

    private func take(_ opened: SealOpened) throws(BusError) {
        guard let topic = publishing.topic(ofRequest: opened.request) else {
            throw .protocolViolation("a seal for request \(opened.request), which wasn't made")
        }
        let position = GrantPosition(incarnation: opened.grantIncarnation, counter: opened.grantCounter)
        do throws(CryptoError) {
            let sealed = SealedGrant(position: position, bytes: opened.grant)
            let grant = try keys?.openSealGrant(
                sealed, topic: topic.bytes, epoch: opened.epoch, sealNumber: opened.seal)
            if let grant { publishing.sealOpened(opened, grant) }
        } catch {
            throw .protocolViolation("a seal grant doesn't open: \(error)")
        }
    }

    private func take(_ error: ErrorFrame) throws(BusError) {
        if error.isFatal {
            parting = "\(error.message) (\(error.reason))"
            // Trying again helps against a daemon that goes down or is full, and when this process was stopped for a
            // while; against nothing else.
            let transient: [Reason] = [.shuttingDown, .descriptorsExhausted, .helloTimeout, .notReading]
            // Who had a connection and comes back too fast, or beside too many others, comes later.
            let isPatient = error.reason == .quotaExceeded && opening == nil
            if !isPatient, !transient.contains(error.reason) {
                refusal = .refused(error.reason, error.message)
            }
            return
        }
        switch FrameType(rawValue: error.inReplyTo) {
        case .publish, .openSeal: try publishing.take(error)
        case .subscribe: subscribing.take(error)
        case .inspect: inspecting.take(error)
        case .administer: administering.take(error)
        case .will: willing.take(error)
        default: break
        }
    }

    // MARK: The end

    /// It is over for good: everyone who waits is told.
    func end(_ error: BusError) {
        guard phase != .ended else { return }
        phase = .ended
        isOver.store(true, ordering: .releasing)
        failure = error
        retry?.disarm()
        greeting?.disarm()
        connection?.close(flushing: false)
        reactor.removeObserver(self)
        publishing.fail(error)
        willing.fail(error)
        requesting.fail(error)
        responding.fail(error)
        subscribing.fail(error)
        inspecting.fail(error)
        administering.fail(error)
        opening?.resume(returning: .failure(error))
        opening = nil
        resumeRoundWaiters()
        for waiter in ending { waiter.resume() }
        ending = []
        // The first attempt's failure is what `connect` throws; it needs no word beside.
        if case .closed = error {} else if lastIncarnation != nil { options.onNotice?(.ended("\(error)")) }
        if ownsReactor { reactor.stop() }
    }
}

extension ClientCore: RoundObserver {
    /// They run in the next round, behind this one's flush.
    private func resumeRoundWaiters() {
        guard !roundWaiters.isEmpty else { return }
        let waiters = roundWaiters
        roundWaiters = []
        for waiter in waiters { waiter.resume() }
    }

    func roundWillEnd(_ reactor: Reactor) {
        isFlushRequested = false
        defer { resumeRoundWaiters() }
        publishing.roundWillEnd()
        guard !creditDue.isEmpty else { return }
        for state in creditDue { state.tellCredit() }
        creditDue.removeAll(keepingCapacity: true)
    }
}
