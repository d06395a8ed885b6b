// How other threads hand results to the reactor: a list under a lock, and an eventfd that wakes the reactor when the
// list was empty. Results are taken in the first part of a round, like everything else that comes in.

import BusTransport
import CLinux
import Glibc
import Synchronization
import SystemPackage

/// Results on their way to a reactor.
final class ReactorMailbox<Result: Sendable>: Sendable {
    private let waiting = Mutex<[Result]>([])
    private let descriptor: FileDescriptor

    /// A mailbox with nothing in it.
    init() throws(ServerError) {
        let made = eventfd(0, CInt(EFD_CLOEXEC | EFD_NONBLOCK))
        guard made >= 0 else { throw .system("can't make an eventfd: \(Errno(rawValue: errno))") }
        descriptor = FileDescriptor(rawValue: made)
    }

    deinit { close(descriptor.rawValue) }

    /// Leaves a result; from any thread.
    func put(_ result: Result) {
        let wasEmpty = waiting.withLock { list in
            list.append(result)
            return list.count == 1
        }
        guard wasEmpty else { return }
        var one: UInt64 = 1
        _ = write(descriptor.rawValue, &one, 8)
    }

    /// Has `action` called on the reactor with everything that waits, until the watch is cancelled.
    func watch(on reactor: Reactor, _ action: @escaping ([Result]) -> Void) throws(ServerError) -> DescriptorWatch {
        do throws(TransportError) {
            return try DescriptorWatch(descriptor, on: reactor) { [self] in action(take()) }
        } catch {
            throw .system(error.description)
        }
    }

    /// Takes what waits; on the reactor.
    func take() -> [Result] {
        var count: UInt64 = 0
        _ = read(descriptor.rawValue, &count, 8)
        return waiting.withLock { list in
            defer { list = [] }
            return list
        }
    }
}
