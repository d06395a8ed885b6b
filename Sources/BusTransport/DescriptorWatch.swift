// Descriptors of others on the reactor: signalfd, inotify, pidfd.
//
// Guarantees one call per round while the descriptor is readable, until cancelled. Keeps the descriptor in the
// reactor's set; reading it, so that it is no longer readable, and closing it are left to its owner.

import CLinux
public import SystemPackage

/// Tells its owner when a descriptor can be read. Confined to its reactor.
public final class DescriptorWatch: @unchecked Sendable {
    private let reactor: Reactor
    private let descriptor: FileDescriptor
    private let action: () -> Void
    private var registration: Registration?

    /// Watches `descriptor` until `cancel()`, which must come before it is closed.
    public init(
        _ descriptor: FileDescriptor, on reactor: Reactor, _ action: @escaping () -> Void
    ) throws(TransportError) {
        reactor.preconditionConfined()
        self.reactor = reactor
        self.descriptor = descriptor
        self.action = action
        let registration = try reactor.poller.add(descriptor, events: EPOLLIN.rawValue)
        self.registration = registration
        reactor.poller.setSource(registration, .watch(self))
    }

    /// Stops watching. Doing it twice is harmless.
    public func cancel() {
        reactor.preconditionConfined()
        guard let registration else { return }
        self.registration = nil
        reactor.poller.remove(registration, descriptor)
    }

    func ready() { action() }
}
