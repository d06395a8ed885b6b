// The epoll set, and who is behind each descriptor in it.
//
// Guarantees that an event never reaches the wrong one: a key carries the generation of its slot, so what the
// kernel reported for a descriptor that has been closed since (perhaps earlier in the same batch) finds nobody.
// Level-triggered, because then a bounded read needs no bookkeeping of what is left: the kernel tells again.
// Keeps everything registered alive; leaves the meaning of events to those behind the descriptors.

import CLinux
import Glibc
import SystemPackage

/// Who is told about a descriptor. A closed set, so that telling is a jump and not a dynamic call.
enum EventSource {
    case vacant
    case connection(Connection)
    case listener(Listener)
    case watch(DescriptorWatch)
}

/// What `Poller.add` gives out and wants back.
struct Registration {
    fileprivate let slot: UInt32
    fileprivate let generation: UInt32

    fileprivate var key: UInt64 { UInt64(generation) << 32 | UInt64(slot) }
}

final class Poller {
    /// Enough that a busy round amortises its `epoll_wait`, few enough that jobs and timers wait at most so many
    /// bounded reads. Not tuned.
    static let eventsMax = 256

    private struct Slot {
        var generation: UInt32 = 0
        var source = EventSource.vacant
    }

    private let epoll: OwnedDescriptor
    private let wakeup: OwnedDescriptor
    private let events = UnsafeMutablePointer<epoll_event>.allocate(capacity: Poller.eventsMax)
    private var slots: [Slot] = []
    private var free: [UInt32] = []

    /// The key of the wake-up descriptor; no slot has it, as slots are far fewer than 2^32.
    private static let wakeupKey = UInt64.max

    init() throws(TransportError) {
        let epoll = epoll_create1(CInt(EPOLL_CLOEXEC))
        guard epoll >= 0 else { throw .from(-Int(Glibc.errno), operation: "epoll_create1") }
        self.epoll = OwnedDescriptor(raw: epoll)
        let wakeup = eventfd(0, CInt(EFD_CLOEXEC | EFD_NONBLOCK))
        guard wakeup >= 0 else { throw .from(-Int(Glibc.errno), operation: "eventfd") }
        self.wakeup = OwnedDescriptor(raw: wakeup)
        let result = linux_epoll_control(epoll, EPOLL_CTL_ADD, wakeup, EPOLLIN.rawValue, Self.wakeupKey)
        guard result >= 0 else { throw .from(Int(result), operation: "epoll_ctl") }
    }

    deinit { events.deallocate() }

    /// Ends a wait, from any thread. Cannot fail: the counter would have to reach 2^64.
    func wake() {
        var one: UInt64 = 1
        _ = write(wakeup.borrowed.rawValue, &one, 8)
    }

    /// Waits at most `nanoseconds` (nil: for ever) and returns how many events there are.
    func wait(nanoseconds: Int64?) -> Int {
        let result = linux_epoll_wait(epoll.borrowed.rawValue, events, CInt(Self.eventsMax), nanoseconds ?? -1)
        // Only a broken argument gives anything but EINTR, and then going on would spin.
        precondition(result >= 0 || result == -EINTR, "epoll_wait: \(Errno(rawValue: -result))")
        return max(0, Int(result))
    }

    /// The event at `index` of the last wait: who, and what.
    func event(at index: Int) -> (source: EventSource, events: UInt32) {
        let event = events[index]
        let key = event.data.u64
        if key == Self.wakeupKey {
            var count: UInt64 = 0
            _ = read(wakeup.borrowed.rawValue, &count, 8)
            return (.vacant, 0)
        }
        let slot = slots[Int(UInt32(truncatingIfNeeded: key))]
        guard slot.generation == UInt32(truncatingIfNeeded: key >> 32) else { return (.vacant, 0) }
        return (slot.source, event.events)
    }

    /// Puts `descriptor` into the set; `setSource` must follow before the next wait.
    func add(_ descriptor: FileDescriptor, events: UInt32) throws(TransportError) -> Registration {
        let index = free.popLast() ?? newSlot()
        let registration = Registration(slot: index, generation: slots[Int(index)].generation)
        let result = control(EPOLL_CTL_ADD, descriptor, events, registration)
        guard result >= 0 else {
            free.append(index)
            throw .from(Int(result), operation: "epoll_ctl")
        }
        return registration
    }

    /// Says who is behind `registration`.
    func setSource(_ registration: Registration, _ source: EventSource) {
        slots[Int(registration.slot)].source = source
    }

    private func newSlot() -> UInt32 {
        slots.append(Slot())
        return UInt32(slots.count - 1)
    }

    /// Changes what is reported; `nil` takes the descriptor out of the set and keeps its slot, because a hang-up
    /// is reported whether asked for or not.
    func modify(_ registration: Registration, _ descriptor: FileDescriptor, from old: UInt32?, to new: UInt32?) {
        let operation = old == nil ? EPOLL_CTL_ADD : new == nil ? EPOLL_CTL_DEL : EPOLL_CTL_MOD
        let result = control(operation, descriptor, new ?? 0, registration)
        precondition(result >= 0, "a registered descriptor is open: epoll_ctl: \(Errno(rawValue: -result))")
    }

    /// Forgets who is behind `registration`. The set is always left before the descriptor is closed: a duplicate
    /// of it (in another process, after a handover) would keep it in the set.
    func remove(_ registration: Registration, _ descriptor: FileDescriptor) {
        _ = control(EPOLL_CTL_DEL, descriptor, 0, registration)
        slots[Int(registration.slot)].source = .vacant
        slots[Int(registration.slot)].generation &+= 1
        free.append(registration.slot)
    }

    private func control(
        _ operation: CInt, _ descriptor: FileDescriptor, _ events: UInt32, _ registration: Registration
    ) -> CInt {
        linux_epoll_control(epoll.borrowed.rawValue, operation, descriptor.rawValue, events, registration.key)
    }

    /// Everything registered, for the end.
    var sources: [EventSource] { slots.map(\.source) }
}
