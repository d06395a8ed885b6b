// Small files of the state directory: read whole within a bound, written so that a crash leaves the old or the new.

import Glibc

/// A file of the state directory that is read and replaced as a whole.
struct StateFile {
    let path: String

    /// What is refused about a secret file.
    struct Facts {
        let mode: mode_t
        let owner: uid_t
        let length: Int
    }

    /// The file's content, or nil if there is none.
    ///
    /// - Parameter followsLinks: for configuration; a secret is never looked for behind a link.
    func read(lengthMax: Int, followsLinks: Bool = false) throws(ServerError) -> (bytes: [UInt8], facts: Facts)? {
        // Not blocking: a pipe in a file's place is refused below, not waited for.
        let flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | (followsLinks ? 0 : O_NOFOLLOW)
        let descriptor = open(path, flags)
        guard descriptor >= 0 else {
            if errno == ENOENT { return nil }
            throw failure("open")
        }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw failure("look at") }
        guard status.st_mode & S_IFMT == S_IFREG else { throw .state("\(path) is not a regular file") }
        guard status.st_size <= lengthMax else {
            throw .state("\(path) has \(status.st_size) bytes, at most \(lengthMax) were expected: it is not ours")
        }
        var bytes = [UInt8](repeating: 0, count: Int(status.st_size))
        var filled = 0
        while filled < bytes.count {
            let n = bytes.withUnsafeMutableBytes { Glibc.read(descriptor, $0.baseAddress! + filled, $0.count - filled) }
            if n < 0, errno == EINTR { continue }
            guard n > 0 else { throw failure("read") }
            filled += n
        }
        return (bytes, Facts(mode: status.st_mode & 0o7777, owner: status.st_uid, length: bytes.count))
    }

    /// Replaces the file: beside it, synced, renamed over it, directory synced. Mode 0600.
    func write(_ bytes: [UInt8]) throws(ServerError) {
        let fresh = path + ".new"
        unlink(fresh)
        let descriptor = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw failure("create") }
        defer { close(descriptor) }
        var written = 0
        while written < bytes.count {
            let n = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress! + written, $0.count - written) }
            if n < 0, errno == EINTR { continue }
            guard n > 0 else { throw failure("write") }
            written += n
        }
        guard fsync(descriptor) == 0 else { throw failure("sync") }
        guard rename(fresh, path) == 0 else { throw failure("replace") }
        try syncDirectory()
    }

    private func syncDirectory() throws(ServerError) {
        let slash = path.lastIndex(of: "/").map { path[..<$0] } ?? "."
        let directory = open(slash.isEmpty ? "/" : String(slash), O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard directory >= 0 else { throw failure("open the directory of") }
        defer { close(directory) }
        guard fsync(directory) == 0 else { throw failure("sync the directory of") }
    }

    private func failure(_ what: String) -> ServerError {
        .state("can't \(what) \(path): \(String(cString: strerror(errno)))")
    }
}
