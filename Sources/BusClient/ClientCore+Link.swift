// Connecting, shaking hands, and coming back: jittered exponential backoff, everything resubscribed, what has no
// receipt sent again with the same ids.

import BusCrypto
import BusTransport
import BusWire

extension ClientCore: ConnectionOwner {
    // MARK: Connecting

    /// Connects for the first time and waits for the welcome.
    func open(isolation: isolated (any Actor)? = #isolation) async throws(BusError) {
        let reactor = reactor
        try await withTaskCancellationHandler {
            // Captured, so that the closure is isolated like its caller.
            _ = isolation
            return await withCheckedContinuation { continuation in
                opening = continuation
                reactor.addObserver(self)
                do throws(BusError) { try connect() } catch { return openingFailed(error) }
                if Task.isCancelled { giveUpOpening() }
            }
        } onCancel: {
            Task(executorPreference: reactor) { self.giveUpOpening() }
        }.get()
    }

    /// Too many wait to be accepted: that passes, and whoever floods the daemon must not keep others from it. Anything
    /// else is the caller's to know at once.
    private func openingFailed(_ error: BusError) {
        guard case .unreachable(_, .serverBusy) = error, attempts < ClientCore.busyAttemptsMax else {
            return end(error)
        }
        retryLater()
    }

    private func giveUpOpening() {
        guard opening != nil else { return }
        end(.cancelled)
    }

    private func connect() throws(BusError) {
        let path = options.address.path
        try trust.check(directoryOf: path)
        do {
            let connection = try Connection.connect(to: path, on: reactor, owner: self)
            self.connection = connection
            do {
                try trust.check(connection.peerCredentials(), path: path)
                try greet(connection)
            } catch {
                connection.close(flushing: false)
                throw error
            }
        } catch let error as TransportError {
            throw .unreachable(path: path, cause: error)
        } catch let error as BusError {
            throw error
        } catch CryptoError.forked {
            throw .forked
        } catch {
            throw .internalFailure("\(error)")
        }
    }

    private func greet(_ connection: Connection) throws {
        let key = try HandshakeKey()
        let hello = Hello(publicKey: key.publicKey, nonce: SealSalt.random().bytes, name: options.name)
        helloBytes = Frame.hello(hello).encoded
        handshake = consume key
        decoder.frameLengthMax = Limits.helloLengthMax
        phase = .greeting
        let timer = greeting ?? DeadlineTimer(on: reactor) { [weak self] in self?.giveUpGreeting() }
        greeting = timer
        timer.arm(at: .now() + options.welcomeTime)
        helloBytes.withUnsafeBytes { connection.write(copying: $0) }
    }

    /// Somebody listens and doesn't answer: a daemon that was stopped, or is none.
    private func giveUpGreeting() {
        guard phase == .greeting else { return }
        parting = "no welcome within \(options.welcomeTime)"
        connection?.close(flushing: false)
    }

    private func welcomed(_ welcome: Welcome, _ bytes: SharedBytes) throws(BusError) {
        guard let key = handshake.take() else { throw .protocolViolation("a second welcome") }
        guard Limits.versions.contains(welcome.version) else {
            throw .protocolViolation("a welcome in version \(welcome.version), which wasn't offered")
        }
        do throws(CryptoError) {
            let transcript = helloBytes.withUnsafeBytes { hello in
                bytes.withUnsafeBytes { HandshakeKey.transcriptHash(hello: hello, welcome: $0) }
            }
            keys = try key.agree(peerPublicKey: welcome.publicKey, transcript: transcript, role: .client)
        } catch {
            throw .protocolViolation("the daemon's public key is not acceptable: \(error)")
        }
        // A delivery carries more around its batch than the publish it came in.
        decoder.frameLengthMax = Int(welcome.frameLengthMax) + 1024
        self.welcome = welcome
        greeting?.disarm()
        phase = .open
        opened(sameDaemon: lastIncarnation.map { $0 == welcome.incarnation })
        lastIncarnation = welcome.incarnation
        attempts = 0
    }

    /// - Parameter sameDaemon: nil the first time.
    private func opened(sameDaemon: Bool?) {
        guard let sameDaemon else {
            opening?.resume(returning: .success(()))
            opening = nil
            return
        }
        let resent = publishing.connectionRestored()
        subscribing.connectionRestored(sameDaemon: sameDaemon)
        requesting.connectionRestored()
        willing.connectionRestored()
        options.onNotice?(.restored(sameDaemon: sameDaemon, resentEvents: resent))
    }

    // MARK: What the transport tells

    func connection(_ connection: Connection, received bytes: SharedBytes) -> Consumption {
        var position = 0
        do {
            while connection === self.connection, phase != .ended {
                switch try decoder.next(in: bytes, at: position) {
                case .frame(let frame, let length):
                    if phase == .greeting {
                        try takeGreeting(frame, bytes.slice(position..<position + length))
                    } else {
                        try take(frame)
                    }
                    position += length
                case .skipped(let length): position += length
                case .incomplete(let needed): return Consumption(consumed: position, needed: needed)
                }
            }
        } catch let error as BusError {
            violated(error)
        } catch {
            violated(.protocolViolation("\(error)"))
        }
        return Consumption(consumed: bytes.count)
    }

    private func takeGreeting(_ frame: Frame, _ bytes: SharedBytes) throws(BusError) {
        switch frame {
        case .welcome(let welcome): try welcomed(welcome, bytes)
        case .error, .closing: try take(frame)
        default: throw .protocolViolation("a \(frame.type.name) frame before the welcome")
        }
    }

    /// A daemon that breaks the protocol breaks it again: no reconnecting.
    private func violated(_ error: BusError) {
        refusal = error
        connection?.close(flushing: false)
    }

    func connectionDrained(_ connection: Connection, afterBlocking: Bool) {}

    func connectionBlocked(_ connection: Connection) {}

    func connectionClosed(_ connection: Connection, reason: CloseReason) {
        guard connection === self.connection, phase != .ended else { return }
        self.connection = nil
        keys = nil
        handshake = nil
        let why = parting ?? "the daemon is gone (\(reason.name))"
        parting = nil
        if phase == .leaving { return end(.closed) }
        let wasOpen = phase == .open
        phase = .idle
        if let refusal { return end(refusal) }
        // No timer fires any more on a reactor that was stopped by its owner.
        if reason == .reactorStopped { return end(.disconnected(why)) }
        guard opening == nil, options.reconnects else { return end(.disconnected(why)) }
        if wasOpen {
            publishing.connectionLost(why)
            requesting.connectionLost(why)
            responding.connectionLost()
            subscribing.connectionLost()
            inspecting.fail(.disconnected(why))
            administering.fail(.disconnected(why))
            options.onNotice?(.lost(why))
        }
        retryLater()
    }

    // MARK: Coming back

    private func retryLater() {
        let doubled = options.backoffMin * (1 << min(attempts, 16))
        attempts += 1
        let wait = min(doubled, options.backoffMax) * Double.random(in: 0.5...1.5)
        let timer = retry ?? DeadlineTimer(on: reactor) { [weak self] in self?.retryNow() }
        retry = timer
        timer.arm(at: .now() + wait)
    }

    private func retryNow() {
        guard phase == .idle else { return }
        do throws(BusError) {
            try connect()
        } catch {
            // A daemon that isn't there may come; one that isn't trusted may be replaced by the right one.
            connection = nil
            phase = .idle
            if case .forked = error { return end(error) }
            if opening != nil { return openingFailed(error) }
            retryLater()
        }
    }

    // MARK: Leaving

    /// Says goodbye and waits for the daemon's end of the stream, for a second at most.
    func leave() async {
        await withCheckedContinuation { continuation in
            guard phase != .ended else { return continuation.resume() }
            ending.append(continuation)
            switch phase {
            case .ended, .idle, .greeting: end(.closed)
            case .leaving: break
            case .open:
                subscribing.leaving()
                write(.goodbye)
                phase = .leaving
                reactor.schedule(at: .now() + .seconds(1)) { [weak self] in self?.end(.closed) }
            }
        }
    }
}
