// Memory for secrets: locked, left out of core dumps, wiped in a forked child, zeroed when given back.
//
// The one file of this room that speaks to the system (mmap, madvise, mlock, explicit_bzero). It knows no keys.
// Guarantees: a slot is handed to one owner at a time; a slot given back is zeroed first; in a child made by
// `fork` every slot reads zero and `ForkGuard.isForked` is true for good. Locking is best effort, because
// ordinary users may lock little (RLIMIT_MEMLOCK): `SecretMemory.isLocked` tells.
// Left to others: not to use a zeroed slot as a key. `SecretBytes` asks the guard before each use.

import Glibc
import Synchronization

/// What an operator may want to know about the memory that holds secrets.
public enum SecretMemory {
    /// Whether every page that holds secrets is locked into memory, so that none can reach the swap.
    public static var isLocked: Bool {
        SecretArena.shared.isLocked
    }
}

/// One piece of the arena. Sendable because the arena gives it to one owner at a time.
struct SecretSlot: @unchecked Sendable {
    /// The longest secret is 64 bytes (two connection keys); one size for all keeps the arena a free list.
    static let byteCount = 64

    let bytes: UnsafeMutableRawBufferPointer
}

/// Slots for secrets, process wide. Pages are kept for reuse and never go back to the system.
final class SecretArena: Sendable {
    static let shared = SecretArena()

    /// 256 slots at a time with pages of 4 KiB. Not tuned: it keeps the number of mappings small.
    private static let regionPages = 4

    private struct State {
        var free: [SecretSlot] = []
        var isLocked = true
    }

    private let state = Mutex(State())

    var isLocked: Bool {
        state.withLock { $0.isLocked }
    }

    func take() -> SecretSlot {
        state.withLock { state in
            if let slot = state.free.popLast() { return slot }
            let region = wipedOnFork(pages: Self.regionPages)
            if mlock(region.baseAddress!, region.count) != 0 { state.isLocked = false }
            for start in stride(from: 0, to: region.count, by: SecretSlot.byteCount).reversed() {
                let piece = UnsafeMutableRawBufferPointer(rebasing: region[start..<start + SecretSlot.byteCount])
                state.free.append(SecretSlot(bytes: piece))
            }
            return state.free.removeLast()
        }
    }

    func giveBack(_ slot: SecretSlot) {
        wipe(slot.bytes)
        state.withLock { $0.free.append(slot) }
    }
}

/// Tells a forked child from the process that made its secrets.
///
/// One page holds a magic number, and the kernel gives a child that page zeroed. A comparison of process ids
/// would cost a system call per seal, and a pid can come back.
enum ForkGuard {
    private static let magic: UInt64 = 0x4c6f_6361_6c42_7573

    private static let page: SecretSlot = {
        let page = wipedOnFork(pages: 1)
        page.storeBytes(of: magic, as: UInt64.self)
        return SecretSlot(bytes: page)
    }()

    /// Whether this process is a child forked after the first question. Never inlined: the kernel changes the
    /// page behind the compiler's back, so each question must load it anew.
    @inline(never)
    static var isForked: Bool {
        page.bytes.load(as: UInt64.self) != magic
    }

    static func check() throws(CryptoError) {
        if isForked { throw .forked }
    }
}

/// Zeroes memory in a way that the compiler may not drop.
func wipe(_ bytes: UnsafeMutableRawBufferPointer) {
    guard let start = bytes.baseAddress else { return }
    explicit_bzero(start, bytes.count)
}

private func wipedOnFork(pages: Int) -> UnsafeMutableRawBufferPointer {
    let count = pages * sysconf(Int32(_SC_PAGESIZE))
    let start = mmap(nil, count, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
    // As with every allocation in Swift, there is no going on without memory.
    guard let start, start != MAP_FAILED else { preconditionFailure("no memory for secrets") }
    // Linux has had it for private anonymous memory since 4.14. Without it a child could repeat a nonce.
    precondition(madvise(start, count, MADV_WIPEONFORK) == 0, "the kernel cannot wipe memory on fork")
    // Failure leaves secrets in a core dump, which the service forbids anyway (LimitCORE=0).
    _ = madvise(start, count, MADV_DONTDUMP)
    return UnsafeMutableRawBufferPointer(start: start, count: count)
}
