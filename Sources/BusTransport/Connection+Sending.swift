// How bytes go out.
//
// Writing only notes what is to be written: small bytes go into the reactor's prefix storage, large ones are
// referred to. The flush at the end of the round hands everything to the kernel with one `sendmsg`. What it does not
// take waits for EPOLLOUT; until then nothing is tried, and what was noted is compacted at the end of its round.

public import BusWire
import CLinux
import Glibc
import SystemPackage

extension Connection {
    /// Shared bytes up to this length are copied behind the prefix: cheaper than a reference and a vector of their
    /// own, and kinder to the 1,024 vectors of a `sendmsg`. Not tuned.
    static let copiedBytesMax = 512

    /// Bytes written and not yet taken by the kernel.
    public var pendingBytes: Int { outbox?.pending ?? 0 }

    /// Writes what `body` puts into a buffer of `capacity` bytes; it returns how many of them it used.
    ///
    /// `body` must not write to any connection of this reactor.
    public func write(capacity: Int, _ body: (UnsafeMutableRawBufferPointer) -> Int) {
        reactor.preconditionConfined()
        guard let outbox = outboxForWriting() else { return }
        if capacity > reactor.prefixes.storage.capacity {
            let storage = ByteStorage(capacity: capacity)
            let used = body(UnsafeMutableRawBufferPointer(start: storage.base, count: capacity))
            precondition(used >= 0 && used <= capacity, "more bytes used than there are")
            outbox.append(storage.base, count: used, storage: storage)
            return
        }
        reactor.prefixes.makeRoom(capacity)
        let storage = reactor.prefixes.storage
        let base = storage.base + reactor.prefixes.position
        let used = body(UnsafeMutableRawBufferPointer(start: base, count: capacity))
        precondition(used >= 0 && used <= capacity, "more bytes used than there are")
        reactor.prefixes.commit(used)
        outbox.append(base, count: used, storage: storage)
    }

    /// Writes a copy of `bytes`.
    public func write(copying bytes: UnsafeRawBufferPointer) {
        guard let source = bytes.baseAddress else { return }
        write(capacity: bytes.count) { target in
            target.baseAddress?.copyMemory(from: source, byteCount: bytes.count)
            return bytes.count
        }
    }

    /// Writes `bytes` without copying them, unless they are few.
    public func write(_ bytes: SharedBytes) {
        if bytes.count <= Self.copiedBytesMax {
            bytes.withUnsafeBytes { write(copying: $0) }
            return
        }
        reactor.preconditionConfined()
        outboxForWriting()?.append(bytes.base, count: bytes.count, storage: bytes.storage)
    }

    /// nil when nothing can be sent any more: a connection about to be reported closed swallows what is written.
    private func outboxForWriting() -> Outbox? {
        guard phase == .open || phase == .peerClosed, !isWriteClosed else { return nil }
        markDirty()
        if let outbox { return outbox }
        let outbox = reactor.takeOutbox()
        self.outbox = outbox
        return outbox
    }

    func markDirty() {
        guard !isDirty else { return }
        isDirty = true
        reactor.noteDirty(self)
    }

    func dropOutbox() {
        guard let outbox else { return }
        outbox.reset()
        reactor.giveBack(outbox)
        self.outbox = nil
    }

    // MARK: The flush

    func flush() {
        isDirty = false
        guard phase != .ended else { return }
        if let outbox {
            if isBlocked && !mayTryAgain {
                outbox.compact()
            } else {
                send(outbox)
            }
        }
        finishIfFlushed()
    }

    private func send(_ outbox: Outbox) {
        mayTryAgain = false
        let offer = outbox.gather(into: reactor.vectors, capacity: Reactor.vectorsMax)
        guard offer.bytes > 0 else { return noteFlushed() }
        reactor.counters.sendCalls += 1
        let result = linux_send_vectors(fd, reactor.vectors, offer.vectors)
        if result < 0 { return failToSend(CInt(-result)) }
        bytesAccepted += UInt64(result)
        outbox.advance(result)
        if outbox.isEmpty {
            noteFlushed()
        } else if result == offer.bytes {
            // Only our own bounds ended it: the next round goes on.
            mayTryAgain = isBlocked
            markDirty()
        } else {
            block()
        }
    }

    private func noteFlushed() {
        dropOutbox()
        if isBlocked {
            isBlocked = false
            wasBlocked = true
            updateInterest()
        }
        reactor.noteFlushed(self)
    }

    private func block() {
        outbox?.compact()
        guard !isBlocked else { return }
        isBlocked = true
        updateInterest()
        reactor.noteFlushed(self)
    }

    private func failToSend(_ error: CInt) {
        switch error {
        case EAGAIN, ENOBUFS, ENOMEM: block()
        case EINTR: markDirty()
        case EPIPE, ECONNRESET: stopSending()
        default: finish(.system(Errno(rawValue: error)))
        }
    }

    /// The peer reads no more. What it sent before it went is still delivered; closing our reading half bounds
    /// that to what is in the kernel, and end of input ends the connection.
    private func stopSending() {
        isWriteClosed = true
        dropOutbox()
        if isBlocked {
            isBlocked = false
            updateInterest()
        }
        _ = shutdown(fd, CInt(SHUT_RD))
    }

    /// After the flush: all was taken, or the kernel takes no more for now.
    func reportFlush() {
        let afterBlocking = wasBlocked
        guard phase != .ended, let owner else { return }
        guard !isBlocked else { return owner.connectionBlocked(self) }
        wasBlocked = false
        owner.connectionDrained(self, afterBlocking: afterBlocking)
    }
}
