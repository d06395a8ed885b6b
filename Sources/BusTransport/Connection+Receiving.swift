// How bytes come in.
//
// One bounded `recv` per round, into the reactor's shared storage. What the owner leaves of it is the beginning of a
// frame. A short one is copied out and put before the next bytes. A long one whose length is known gets storage
// of exactly that length, and the rest is read directly behind its beginning: a batch of a megabyte is copied once.

import BusWire
import CLinux
import Glibc
import SystemPackage

extension Connection {
    /// From this length on a frame gets storage of its own instead of being moved. At 16 KiB moving costs about a
    /// microsecond, which is what the additional `recv` for its rest costs. Not tuned.
    static let assembledFrameMin = 16 << 10
    static let unboundedRoom = Int(Int32.max)
    /// The shortest bounded read: a few dozen requests. Not tuned.
    private static let roomMin = 512
    /// Least room worth a `recv`, so that a large batch does not come in slices. Not tuned.
    static let receiveRoomMin = 64 << 10

    /// Whether bytes are read. Switched off, the peer soon blocks; switched on again, what was left unconsumed
    /// is shown at once.
    public var isReading: Bool {
        get { wantsToRead }
        set {
            reactor.preconditionConfined()
            guard newValue != wantsToRead, phase == .open else { return }
            wantsToRead = newValue
            updateInterest()
            if newValue && tail != nil && !awaitsRedelivery {
                awaitsRedelivery = true
                reactor.noteResumed(self)
            }
        }
    }

    func receive() {
        // Left bytes first: the kernel keeps the rest and will tell again.
        guard !awaitsRedelivery else { return }
        if let assembly { receiveRest(of: assembly) } else { receiveNext() }
    }

    private func receiveNext() {
        let before = tail?.count ?? 0
        reactor.received.makeRoom(before + Self.receiveRoomMin)
        let storage = reactor.received.storage
        let start = reactor.received.position
        let count = read(storage.base + start + before, min(reactor.received.room - before, roomMax))
        guard count > 0 else { return }
        if let tail {
            storage.base.advanced(by: start).copyMemory(from: tail.base, byteCount: before)
            self.tail = nil
        }
        reactor.received.commit(before + count)
        reactor.received.align()
        deliver(SharedBytes(storage: storage, offset: start, count: before + count))
    }

    /// Bounds the next read by what the last one cost, so that one read is worth about a quantum of `FairTurns`: a
    /// megabyte of payload is handled in less, a kilobyte of requests for keys takes as long. Where nobody else waits
    /// a read brings what there is.
    func adjustRoom(isContested: Bool) {
        defer { readCost = 0 }
        guard isContested else { return roomMax = Self.unboundedRoom }
        if readCost > FairTurns.quantum {
            let share = Int64(min(roomMax, Self.receiveRoomMin * 4)) * FairTurns.quantum / readCost
            roomMax = max(Int(share), Self.roomMin)
        } else if readCost < FairTurns.quantum / 2, roomMax < Self.unboundedRoom / 2 {
            roomMax *= 2
        }
    }

    /// Charges the connection's principal with time that was spent on what the connection asked for, after it was read.
    public func charge(nanoseconds: Int64) { reactor.charge(nanoseconds, to: self) }

    private func receiveRest(of frame: ByteStorage) {
        let count = read(frame.base + assembled, frame.capacity - assembled)
        guard count > 0 else { return }
        assembled += count
        guard assembled == frame.capacity else { return }
        assembly = nil
        deliver(SharedBytes(storage: frame, offset: 0, count: frame.capacity))
    }

    /// Reads once; deals with everything but bytes.
    private func read(_ base: UnsafeMutableRawPointer, _ room: Int) -> Int {
        reactor.counters.receiveCalls += 1
        let result = linux_receive(fd, base, room)
        if result > 0 { return result }
        switch CInt(-result) {
        case 0: endOfInput()
        case EAGAIN, EINTR: break
        case ECONNRESET: finish(.peerReset)
        default: finish(.system(Errno(rawValue: CInt(-result))))
        }
        return 0
    }

    /// Shows bytes that were left when reading was switched off.
    func redeliver() {
        awaitsRedelivery = false
        guard phase == .open, wantsToRead, let bytes = tail else { return }
        tail = nil
        deliver(bytes)
    }

    private func deliver(_ bytes: SharedBytes) {
        guard let owner else { return }
        let answer = owner.connection(self, received: bytes)
        precondition(answer.consumed >= 0 && answer.consumed <= bytes.count, "an owner consumes what it was shown")
        guard phase == .open, answer.consumed < bytes.count else { return }
        keep(bytes.slice(answer.consumed..<bytes.count), needed: answer.needed)
    }

    private func keep(_ rest: SharedBytes, needed: Int) {
        if !wantsToRead {
            tail = rest.compacted()
        } else if needed > rest.count && needed > Self.assembledFrameMin {
            let frame = ByteStorage(capacity: needed)
            frame.base.copyMemory(from: rest.base, byteCount: rest.count)
            assembly = frame
            assembled = rest.count
        } else if rest.count <= Self.assembledFrameMin {
            tail = rest.withUnsafeBytes { SharedBytes(copying: $0) }
        } else {
            finish(.unframed)
        }
    }
}
