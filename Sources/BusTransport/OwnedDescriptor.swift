// A descriptor with exactly one owner.
//
// Guarantees that it is closed once: two owners do not compile. Keeps the number; leaves to others what it means.

import Glibc
public import SystemPackage

/// A file descriptor that is closed when its owner is done with it.
public struct OwnedDescriptor: ~Copyable, Sendable {
    private let raw: CInt

    /// Takes over `descriptor`; nobody else may close it from here on.
    public init(_ descriptor: FileDescriptor) { raw = descriptor.rawValue }

    init(raw: CInt) { self.raw = raw }

    deinit { _ = Glibc.close(raw) }

    /// The descriptor, to look at and use but not to close.
    public var borrowed: FileDescriptor { FileDescriptor(rawValue: raw) }

    /// Gives the descriptor away, with the duty to close it.
    public consuming func release() -> FileDescriptor {
        let descriptor = FileDescriptor(rawValue: raw)
        discard self
        return descriptor
    }
}
