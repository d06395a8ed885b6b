// Descriptors of others on the reactor: signalfd, inotify, pidfd.
//
// Guarantees one call per round while the descriptor is readable, or hung up, until cancelled. Keeps the descriptor in the
// reactor's set; reading it, so that it is no longer readable, and closing it are left to its owner.

import CLinux
public import SystemPackage

/// Tells its owner when a descriptor can be read, or that its other end is gone. Confined to its reactor.
public final class DescriptorWatch: @unchecked Sendable {
    private let reactor: Reactor
    private let descriptor: FileDescriptor
    private let action: () -> Void
    private var registration: Registration?

    /// What is waited for.
    public enum What: Sendable {
        /// That it can be read.
        case reading
        /// That its other end is closed or it has failed, which the kernel tells whether asked or not.
        case hangUp
    }

    /// Watches `descriptor` until `cancel()`, which must come before it is closed.
    public init(
        _ descriptor: FileDescriptor, for what: What = .reading, on reactor: Reactor, _ action: @escaping () -> Void
    ) throws(TransportError) {
        reactor.preconditionConfined()
        self.reactor = reactor
        self.descriptor = descriptor
        self.action = action
        let registration = try reactor.poller.add(descriptor, events: what == .reading ? EPOLLIN.rawValue : 0)
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
