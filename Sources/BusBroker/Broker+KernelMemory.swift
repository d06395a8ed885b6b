// What the kernel holds for a user's connections. It charges an unread subscriber to the daemon, not to the subscriber, so
// that it counts among what a user may hold. The runner sets the buffers; how large they may be is decided here.

extension Broker {
    /// Charges a session for a larger send buffer, if its user may have it.
    ///
    /// - Parameter length: by how many bytes it grows, as the kernel counts them.
    /// - Returns: false, and nothing charged, where the quota doesn't allow it.
    public func growSendBuffer(of id: SessionID, by length: Int) -> Bool {
        guard let session = sessions[id] else { return false }
        guard session.account.kernelLength + length <= configuration.quotas.kernelLength else { return false }
        session.account.kernelLength += length
        session.kernelLength += length
        return true
    }
}
