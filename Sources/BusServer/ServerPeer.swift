// One connection of the daemon: cuts its bytes into frames, shakes hands, and hands the rest to the broker.

import BusBroker
import BusCrypto
import BusTransport
import BusWire

/// The daemon's end of one connection, from accept to close.
final class ServerPeer: ConnectionOwner {
    /// Where the connection stands.
    private enum Phase {
        /// Nothing decoded yet but a hello may come.
        case greeting
        /// Frames go to the broker.
        case open
        /// Bytes are thrown away until the connection is gone.
        case closing
    }

    let id: SessionID
    private unowned let server: BusServer
    private(set) var connection: Connection?
    private var phase = Phase.greeting
    private var decoder = FrameDecoder(from: .client, frameLengthMax: Limits.helloLengthMax)
    private var keys: ConnectionKeys?

    // The kernel's share of what is under way to this peer (see SendBuffer).
    private var sendBuffer = SendBuffer.start

    init(id: SessionID, server: BusServer) {
        self.id = id
        self.server = server
    }

    func attach(_ connection: Connection) {
        self.connection = connection
        connection.setSendBuffer(sendBuffer)
    }

    // MARK: Reading

    func connection(_ connection: Connection, received bytes: SharedBytes) -> Consumption {
        var position = 0
        while phase != .closing {
            do throws(WireError) {
                switch try decoder.next(in: bytes, at: position) {
                case .frame(let frame, let length):
                    take(frame, SharedSlice(bytes, position, length))
                    position += length
                case .skipped(let length): position += length
                case .incomplete(let needed): return Consumption(consumed: position, needed: needed)
                }
            } catch {
                phase = .closing
                server.happened(.malformed(id, error))
            }
        }
        return Consumption(consumed: bytes.count)
    }

    /// A frame's bytes, copied only by the handshake.
    private struct SharedSlice {
        let bytes: SharedBytes
        init(_ all: SharedBytes, _ position: Int, _ length: Int) { bytes = all.slice(position..<position + length) }
    }

    private func take(_ frame: Frame, _ slice: SharedSlice) {
        switch (phase, frame) {
        case (.open, .subscribe), (.open, .unsubscribe):
            server.happened(.received(id, frame))
            connection?.charge(nanoseconds: BusServer.filterWorkCharge)
        case (.open, _): server.happened(.received(id, frame))
        case (.greeting, .hello(let hello)): greet(hello, slice.bytes)
        default: refuse(.unexpectedFrame, "the first frame must be a hello", inReplyTo: frame.type)
        }
    }

    // MARK: The handshake

    private func greet(_ hello: Hello, _ bytes: SharedBytes) {
        let start = MonotonicInstant.now()
        defer {
            // Its time alone is counted with the read.
            let spent = MonotonicInstant.now().nanoseconds - start.nanoseconds
            connection?.charge(nanoseconds: spent * (BusServer.keyWorkWeight - 1))
        }
        guard let version = hello.commonVersion() else {
            let (served, spoken) = (Limits.versions, "\(hello.versionMin) to \(hello.versionMax)")
            let message = "the daemon serves versions \(served.lowerBound) to \(served.upperBound), not \(spoken)"
            return refuse(.unsupportedVersion, message, inReplyTo: .hello)
        }
        do throws(CryptoError) {
            let own = try HandshakeKey()
            let welcome = Frame.welcome(server.welcome(version: version, publicKey: own.publicKey, session: id)).encoded
            let transcript = welcome.withUnsafeBytes { welcome in
                bytes.withUnsafeBytes { HandshakeKey.transcriptHash(hello: $0, welcome: welcome) }
            }
            keys = try own.agree(peerPublicKey: hello.publicKey, transcript: transcript, role: .server)
            welcome.withUnsafeBytes { connection?.write(copying: $0) }
        } catch {
            let reason: Reason = error == .weakKey ? .weakKey : .malformedFrame
            return refuse(reason, "the hello's public key is not acceptable: \(error)", inReplyTo: .hello)
        }
        phase = .open
        decoder.frameLengthMax = server.frameLengthMax
        server.happened(.authenticated(id, name: hello.name))
    }

    private func refuse(_ reason: Reason, _ message: String, inReplyTo type: FrameType) {
        phase = .closing
        let error = ErrorFrame(reason: reason, inReplyTo: type, isFatal: true, message: message)
        write(.error(error))
        server.close(self, reason, message)
    }

    // MARK: Writing

    /// Writes a frame; a batch in it is referred to, not copied.
    func write(_ frame: Frame) {
        guard let connection else { return }
        server.encode(frame) { connection.write(copying: $0) }
        let tail = frame.tail
        if !tail.isEmpty { connection.write(tail) }
    }

    /// Sends a topic's secret under this connection's key.
    func grant(_ secret: TopicSecret, topic: Topic, epoch: UInt32) throws(CryptoError) {
        guard let sealed = try keys?.sealTopicGrant(secret, topic: topic.bytes, epoch: epoch) else { return }
        write(
            .grant(
                Grant(
                    epoch: epoch, incarnation: sealed.position.incarnation, counter: sealed.position.counter,
                    topic: topic.bytes, sealed: sealed.bytes)))
    }

    /// Sends a publisher its seal.
    func openSeal(_ order: SealOrder, _ material: consuming SealGrant) throws(CryptoError) {
        let sealed = try keys?.sealSealGrant(
            material, topic: order.topic.bytes, epoch: order.epoch, sealNumber: order.seal)
        guard let sealed else { return }
        write(
            .sealOpened(
                SealOpened(
                    request: order.request, epoch: order.epoch, seal: order.seal,
                    batchLengthMax: order.batchLengthMax,
                    batchEventCountMax: order.batchEventCountMax, payloadLengthMax: order.payloadLengthMax,
                    grantIncarnation: sealed.position.incarnation, grantCounter: sealed.position.counter,
                    grant: sealed.bytes)))
    }

    func connectionBlocked(_ connection: Connection) { server.happenedAfterFlush(.blocked(id)) }

    func connectionDrained(_ connection: Connection, afterBlocking: Bool) {
        if afterBlocking, sendBuffer < SendBuffer.large, server.mayGrow(id, from: sendBuffer, to: SendBuffer.large) {
            sendBuffer = SendBuffer.large
            connection.setSendBuffer(sendBuffer)
        }
        server.happenedAfterFlush(.drained(id))
    }

    // MARK: The end

    /// Reads no more, writes what is left, and closes; at the latest after a second.
    func close() {
        phase = .closing
        guard let connection else { return }
        connection.close(flushing: true)
        guard connection.descriptor != nil else { return }
        server.reactor.schedule(at: server.reactor.now + .seconds(1)) { connection.close(flushing: false) }
    }

    func connectionClosed(_ connection: Connection, reason: CloseReason) {
        self.connection = nil
        phase = .closing
        server.ended(self, reason)
    }
}
