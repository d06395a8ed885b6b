// Putting a batch together, for whoever seals one: header and columns in front, the sealed body behind, in storage of
// exactly that size. The cipher is the caller's: this room has none.

extension SealedBatch {
    /// A batch of these parts.
    ///
    /// - Parameters:
    ///   - header: its lengths are filled in here.
    ///   - columns: at most `Limits.columnsLengthMax` bytes.
    ///   - body: the event records in plain, one behind the other.
    ///   - scratch: for header and columns; its content is lost, its storage kept.
    ///   - seal: given what is authenticated, the plaintext, and where ciphertext and tag go.
    /// - Returns: the batch's bytes.
    public static func assemble<E: Error>(
        _ header: BatchHeader, _ columns: BatchColumns, body: [UInt8], scratch: inout [UInt8],
        _ seal: (UnsafeRawBufferPointer, UnsafeRawBufferPointer, UnsafeMutableRawBufferPointer) throws(E) -> Void
    ) throws(E) -> SharedBytes {
        let sealedLength = body.count + BatchHeader.tagLength
        scratch.removeAll(keepingCapacity: true)
        header.encode(into: &scratch)
        columns.encode(into: &scratch)
        scratch.patch(UInt32(scratch.count - BatchHeader.length), at: BatchHeader.length - 8)
        scratch.patch(UInt32(sealedLength), at: BatchHeader.length - 4)
        let storage = ByteStorage(capacity: scratch.count + sealedLength)
        scratch.withUnsafeBytes { head in
            if let base = head.baseAddress { storage.base.copyMemory(from: base, byteCount: head.count) }
        }
        let authenticated = UnsafeRawBufferPointer(start: storage.base, count: scratch.count)
        let output = UnsafeMutableRawBufferPointer(start: storage.base + scratch.count, count: sealedLength)
        var outcome: Result<Void, E> = .success(())
        body.withUnsafeBytes { plaintext in
            do throws(E) { try seal(authenticated, plaintext, output) } catch { outcome = .failure(error) }
        }
        try outcome.get()
        return SharedBytes(storage: storage, offset: 0, count: storage.capacity)
    }
}
