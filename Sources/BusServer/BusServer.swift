// Runs one broker on one reactor: turns what happens on sockets into inputs, carries out the effects, owns the keys.
//
// Everything here is called on the reactor. A round: connections hand in frames, which the broker takes one by one;
// at the round's end the broker tells receipts, its effects are carried out in order, and the reactor flushes, one
// `sendmsg` a connection.

import BusBroker
import BusCrypto
import BusStore
public import BusTransport
import BusWire
import Glibc
public import Logging
import SystemPackage

/// A running bus.
public final class BusServer {
    let reactor: Reactor
    private let broker: Broker
    private let durable: DurableStore
    private let configuration: BrokerConfiguration
    private let keys: Keys
    private let log: Logger
    private let name: String
    private let incarnation: BusUUID
    private var listener: Listener?
    private var peers: [SessionID: ServerPeer] = [:]
    private var nextID: UInt64 = 1
    /// Keys of the daemon's own topics, by their seals.
    private var ownSealers: [UInt64: OwnSealer] = [:]
    private var scratch: [UInt8] = []
    private var lastMoment = Moment(monotonic: 0, wall: 0)
    private var deadline: DeadlineTimer?
    /// Closings said in this second, and those that weren't.
    private var closings = (second: Int64(0), said: 0, unsaid: 0)
    /// Lines a second about sessions that were closed. Not tuned.
    private static let closingsSaidMax = 10
    private var isStopping = false
    private var isStopped = false
    /// Called once when a shutdown is complete.
    public var whenStopped: (() -> Void)?

    /// What the daemon calls itself.
    public static let version = "0.1.0"

    /// Where a server listens.
    public enum Socket: Sendable {
        /// On a path of its own, with this mode.
        case path(String, mode: UInt32)
        /// On a descriptor handed over by the service manager.
        case inherited(CInt)
    }

    /// Opens the state directory and listens.
    ///
    /// - Parameters:
    ///   - settings: what the administrator said.
    ///   - state: the state directory's path.
    ///   - credentials: a directory of systemd credentials, if any.
    ///   - socket: where to listen.
    ///   - reactor: the reactor to live on; everything is called there.
    ///   - log: where to say what happens.
    /// - Throws: `ServerError`, when the state or the socket can't be had.
    public init(
        settings: DaemonConfiguration, state: String, credentials: String? = nil, socket: Socket, on reactor: Reactor,
        log: Logger
    ) throws(ServerError) {
        self.reactor = reactor
        self.log = log
        name = settings.busName.map { "busd \(BusServer.version) (\($0))" } ?? "busd \(BusServer.version)"
        let directory = try StateDirectory(path: state, credentials: credentials)
        if directory.isNew { log.notice("made a new root key in \(state) (key id \(directory.rootKey.id))") }
        let rootKey = directory.rootKey
        keys = Keys(directory)
        if !SecretMemory.isLocked {
            log.warning("keys can't be locked in memory and could reach a swap file: raise LimitMEMLOCK=")
        }
        incarnation = BusUUID.random()
        var configuration = BrokerConfiguration()
        configuration.admittedUIDs = [0, geteuid()]
        configuration.ownIdentity = PeerIdentity(uid: geteuid(), gid: getegid(), pid: getpid())
        configuration.payloadLengthMax = settings.payloadLengthMax
        configuration.quotas = settings.quotas
        configuration.kernelLengthAtStart = SendBuffer.charge(SendBuffer.start)
        configuration.topics = settings.topics
        configuration.topicIdleTime = UInt64(settings.topicIdleTime.components.seconds) * 1_000_000_000
        self.configuration = configuration
        configuration.subscriptionDefaults = settings.subscriptions.settings
        broker = Broker(configuration: configuration, incarnation: incarnation, firstSeal: keys.firstSeal)
        durable = try DurableStore(state, bounds: settings.store, rootKey: rootKey, broker: broker, log: log)
        broker.recover(try durable.state(), at: moment)
        durable.warn()
        durable.onInput = { [weak self] in self?.happened($0) }
        durable.onFailure = { [weak self] in self?.storeFailed($0) }
        try durable.start(on: reactor)
        deadline = DeadlineTimer(on: reactor) { [weak self] in self?.reactor.requestRound() }
        try listen(socket)
        reactor.addObserver(self)
    }

    private func listen(_ socket: Socket) throws(ServerError) {
        do throws(TransportError) {
            let listener =
                switch socket {
                case .path(let path, let mode):
                    try Listener(
                        path: path, mode: FilePermissions(rawValue: CModeT(mode)), on: reactor, owner: self)
                case .inherited(let descriptor):
                    try Listener(
                        adopting: OwnedDescriptor(FileDescriptor(rawValue: descriptor)), on: reactor, owner: self)
                }
            let full = ErrorFrame(
                reason: .descriptorsExhausted, inReplyTo: nil, isFatal: true,
                message: "the daemon has no descriptor left: close connections or raise LimitNOFILE=")
            listener.refusal = Frame.error(full).encoded
            self.listener = listener
        } catch {
            throw .socket(error.description)
        }
    }

    /// The longest frame an authenticated peer may send.
    var frameLengthMax: Int { configuration.frameLengthMax }

    func welcome(version: UInt16, publicKey: [UInt8], session: SessionID) -> Welcome {
        var generator = SystemRandomNumberGenerator()
        let nonce = (0..<32).map { _ in UInt8.random(in: 0...255, using: &generator) }
        return Welcome(
            version: version, publicKey: publicKey, nonce: nonce, incarnation: incarnation, session: session.rawValue,
            frameLengthMax: UInt32(configuration.frameLengthMax),
            payloadLengthMax: UInt32(configuration.payloadLengthMax),
            publishWindow: UInt32(configuration.publishWindow), server: name)
    }

    /// Begins to go down: no new connections, queues are emptied for a bounded time, then `whenStopped` is called.
    public func shutDown() {
        guard !isStopping else { return }
        isStopping = true
        log.notice("going down: \(peers.count) connections")
        listener?.close()
        listener = nil
        happened(.shutdown)
        reactor.requestRound()
    }

    /// The store can't go on: nothing may be said to be on disk any more, and what is can only be read back by a new
    /// beginning. So the daemon ends at once, without a word to anybody.
    private func storeFailed(_ error: StoreError) {
        log.critical(
            "the store failed: \(error.description); ending, so that the next start reads back what is on disk")
        exit(74)
    }

    /// A line about the load, for `systemctl status`.
    public var statusLine: String { "\(peers.count) connections" }

    // MARK: Driving the broker

    /// Something happened in the first part of a round: its effects are carried out at the end of the same round.
    func happened(_ input: Input) {
        broker.handle(input, at: moment)
    }

    /// Something happened after the flush: if the broker has more to do, the next round must not wait.
    func happenedAfterFlush(_ input: Input) {
        broker.handle(input, at: moment)
        if broker.needsRound { reactor.requestRound() }
    }

    /// Whether a peer's send buffer may grow from one size to another.
    func mayGrow(_ id: SessionID, from size: Int, to larger: Int) -> Bool {
        broker.growSendBuffer(of: id, by: SendBuffer.charge(larger) - SendBuffer.charge(size))
    }

    /// Both clocks, read once a round.
    private var moment: Moment {
        let monotonic = UInt64(reactor.now.nanoseconds)
        if lastMoment.monotonic == monotonic { return lastMoment }
        var wall = timespec()
        clock_gettime(CLOCK_REALTIME, &wall)
        lastMoment = Moment(
            monotonic: monotonic, wall: Int64(wall.tv_sec) * 1_000_000 + Int64(wall.tv_nsec) / 1000)
        return lastMoment
    }

    private func carryOutEffects() {
        while let effect = broker.nextEffect() {
            switch effect {
            case .send(let id, let frame): peers[id]?.write(frame)
            case .grant(let id, let topic, let epoch): grant(topic, epoch, to: id)
            case .openSeal(let order): charging(order.session) { openSeal(order) }
            case .openOwnSeal(let seal, let topic, let epoch): openOwnSeal(seal, topic, epoch)
            case .closeOwnSeal(let seal): ownSealers[seal] = nil
            case .advise(let seal, let advisories): advise(seal, advisories)
            case .close(let id, let reason, let message):
                if let peer = peers[id] { close(peer, reason, message) }
            case .stopped: stop()
            case .store(let ticket, let write): durable.put(ticket, write)
            case .read(let order): durable.read(order)
            case .readDue(let order): durable.readDue(order)
            case .seek(let order): durable.seek(order)
            case .retain(let order): durable.retain(order)
            case .tend(let care): durable.tend(care)
            case .administer(let id, let wish): durable.administer(id, wish)
            case .inspect(let id, let question): durable.inspect(id, question)
            }
        }
        durable.flush()
    }

    /// Deriving keys is the dearest thing anybody can ask for, and happens after whoever asked had its turn.
    private func charging(_ id: SessionID, _ work: () -> Void) {
        let start = MonotonicInstant.now()
        work()
        let spent = MonotonicInstant.now().nanoseconds - start.nanoseconds
        peers[id]?.connection?.charge(nanoseconds: spent * BusServer.keyWorkWeight)
    }

    /// Time spent on keys counts so many times where users share the reactor: whoever opens what it will use is soon
    /// through, and who does nothing else shall not have as much of the daemon as those who use it. Not tuned.
    static let keyWorkWeight: Int64 = 8
    /// What coming and going of a subscription counts for beyond its time, in nanoseconds: what it costs others, whose
    /// routes are looked up anew, comes later. Not tuned.
    static let filterWorkCharge: Int64 = 20_000

    private func grant(_ topic: Topic, _ epoch: UInt32, to id: SessionID) {
        do {
            try peers[id]?.grant(keys.secret(of: topic, epoch: epoch), topic: topic, epoch: epoch)
        } catch {
            // Without the grant it couldn't open what follows: better gone, and back, than deaf.
            fail(id, "can't grant topic \(topic)", error)
        }
    }

    private func openSeal(_ order: SealOrder) {
        do {
            try keys.promise(order.seal)
            let secret = try keys.secret(of: order.topic, epoch: order.epoch)
            let material = try secret.sealGrant(
                salt: SealSalt(order.salt), topic: order.topic.bytes, epoch: order.epoch)
            let check = material.keyCheck.bytes
            broker.handle(.sealDerived(seal: order.seal, session: order.session, keyCheck: check), at: moment)
            try peers[order.session]?.openSeal(order, material)
        } catch {
            refuse(order, error)
        }
    }

    /// A full disk, say: the publisher is told, and asks again with its next publish.
    private func refuse(_ order: SealOrder, _ error: any Error) {
        log.error("can't open a seal for \(order.topic): \(error)")
        broker.handle(.sealFailed(seal: order.seal, session: order.session), at: moment)
        let frame = ErrorFrame(
            reason: .quotaExceeded, inReplyTo: .openSeal, request: UInt64(order.request),
            message: "no seal for \(order.topic): \(error)")
        peers[order.session]?.write(.error(frame))
    }

    // MARK: The daemon as publisher

    private func openOwnSeal(_ seal: UInt64, _ topic: Topic, _ epoch: UInt32) {
        do {
            try keys.promise(seal)
            let salt = SealSalt.random()
            let material = try keys.secret(of: topic, epoch: epoch).sealGrant(
                salt: salt, topic: topic.bytes, epoch: epoch)
            let check = material.keyCheck.bytes
            ownSealers[seal] = OwnSealer(material, seal: seal)
            broker.handle(.ownSealOpened(seal: seal, salt: salt.bytes, keyCheck: check), at: moment)
        } catch {
            log.error("can't open a seal for \(topic): \(error)")
            broker.handle(.ownSealFailed(seal: seal), at: moment)
        }
    }

    private func advise(_ seal: UInt64, _ advisories: [Advisory]) {
        guard let sealer = ownSealers[seal] else { return }
        do {
            let batch = try sealer.seal(advisories, at: moment.wall)
            broker.handle(.advised(seal: seal, batch: batch), at: moment)
        } catch {
            log.error("can't seal what is to be told: \(error)")
        }
    }

    private func fail(_ id: SessionID, _ what: String, _ error: any Error) {
        log.error("\(what): \(error)")
        guard let peer = peers[id] else { return }
        close(peer, .shuttingDown, what)
    }

    // MARK: Peers

    /// Appends a frame to a buffer that all frames share and lends it.
    func encode(_ frame: Frame, _ body: (UnsafeRawBufferPointer) -> Void) {
        scratch.removeAll(keepingCapacity: true)
        frame.encode(into: &scratch)
        scratch.withUnsafeBytes(body)
    }

    func close(_ peer: ServerPeer, _ reason: Reason, _ message: String) {
        if reason != .peerClosed, reason != .goodbye, reason != .shuttingDown { sayClosed(peer, reason, message) }
        peer.close()
    }

    /// At most a few lines a second: whoever is refused may come again and again.
    private func sayClosed(_ peer: ServerPeer, _ reason: Reason, _ message: String) {
        noteClosing { log.info("session \(peer.id) closed: \(reason): \(message)") }
    }

    private func noteClosing(_ say: () -> Void) {
        let second = reactor.now.nanoseconds / 1_000_000_000
        if second != closings.second {
            if closings.unsaid > 0 { log.info("\(closings.unsaid) more sessions were closed in that second") }
            closings = (second, 0, 0)
        }
        guard closings.said < BusServer.closingsSaidMax else { return closings.unsaid += 1 }
        closings.said += 1
        say()
    }

    func ended(_ peer: ServerPeer, _ reason: CloseReason) {
        log.debug("session \(peer.id) ended: \(reason.name)")
        peers[peer.id] = nil
        happenedAfterFlush(.disconnected(peer.id))
    }

    private func stop() {
        guard !isStopped else { return }
        isStopped = true
        reactor.removeObserver(self)
        deadline?.disarm()
        durable.close()
        keys.unlock()
        log.notice("stopped")
        whenStopped?()
    }
}

extension BusServer: RoundObserver {
    /// The broker's turn: what is due, receipts, effects.
    public func roundWillEnd(_ reactor: Reactor) {
        broker.endRound(at: moment)
        carryOutEffects()
        guard !isStopped else { return }
        // What the effects themselves brought in can leave something to be told.
        if broker.isUnfinished { reactor.requestRound() }
        if let next = broker.nextDeadline {
            let instant = MonotonicInstant(nanoseconds: Int64(clamping: next))
            if deadline?.deadline != instant { deadline?.arm(at: instant) }
        } else if deadline?.isArmed == true {
            deadline?.disarm()
        }
    }
}

extension BusServer: ListenerOwner {
    /// A peer has connected: the kernel says who it is, the broker whether it may.
    public func listener(_ listener: Listener, accepted descriptor: consuming OwnedDescriptor) -> Bool {
        let id = SessionID(nextID)
        nextID += 1
        do throws(TransportError) {
            let credentials = try PeerCredentials(of: descriptor.borrowed)
            if let refusal = broker.refusal(ofConnectionFrom: credentials.uid, at: moment) {
                listener.turnAway(descriptor, saying: Frame.error(refusal).encoded)
                noteClosing { log.info("a connection was turned away: \(refusal.message)") }
                return false
            }
            let peer = ServerPeer(id: id, server: self)
            let connection = try Connection(adopting: descriptor, on: reactor, owner: peer)
            connection.principal = credentials.uid
            peers[id] = peer
            peer.attach(connection)
            log.debug("session \(id) connected: uid \(credentials.uid)")
            let identity = PeerIdentity(uid: credentials.uid, gid: credentials.gid, pid: credentials.pid)
            happened(.connected(id, identity))
            return true
        } catch {
            log.warning("a peer couldn't be taken: \(error)")
            return false
        }
    }

    /// Peers were turned away; the log says so once a second at most.
    public func listener(_ listener: Listener, turnedAway count: Int, because error: TransportError) {
        log.error("\(count) peers were turned away: \(error)")
    }
}
