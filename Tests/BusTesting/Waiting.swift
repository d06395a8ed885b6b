// Waiting for conditions with a deadline, and directories that go away by themselves.

package import Glibc
import Synchronization
package import Testing

/// Waits until `condition` holds; a test that waits for twenty seconds has failed.
package func eventually(
    _ what: String = "the condition", location: SourceLocation = #_sourceLocation,
    _ condition: () async throws -> Bool
) async rethrows {
    let limit = ContinuousClock.now + .seconds(20)
    while try await !condition() {
        guard ContinuousClock.now < limit else {
            Issue.record("\(what) never held", sourceLocation: location)
            return
        }
        try? await Task.sleep(for: .milliseconds(2))
    }
}

/// Runs `body`, and cancels it and records an issue when it takes longer than twenty seconds.
package func withinBounds<R: Sendable>(
    _ what: String = "it", location: SourceLocation = #_sourceLocation, _ body: @escaping @Sendable () async throws -> R
) async throws -> R {
    let work = Task { try await body() }
    let watch = Task {
        try await Task.sleep(for: .seconds(20))
        Issue.record("\(what) didn't end", sourceLocation: location)
        work.cancel()
    }
    defer { watch.cancel() }
    return try await work.value
}

/// A value that several threads note things in.
package final class Noted<Value: Sendable>: Sendable {
    private let state: Mutex<Value>

    package init(_ value: Value) { state = Mutex(value) }

    package var value: Value { state.withLock { $0 } }

    package func change<R: Sendable>(_ body: (inout Value) -> R) -> R { state.withLock { body(&$0) } }
}

/// A directory for one test, mode 0700, removed with everything in it.
package final class TemporaryDirectory: Sendable {
    package let path: String

    package init() throws {
        var template = Array("/tmp/localbus-test-XXXXXX".utf8CString)
        let made = try #require(template.withUnsafeMutableBufferPointer { mkdtemp($0.baseAddress!) })
        path = String(cString: made)
    }

    deinit { removeTree(path) }

    /// Writes a file into it and returns its path.
    @discardableResult
    package func write(_ name: String, _ bytes: [UInt8], mode: mode_t = 0o600) -> String {
        let file = path + "/" + name
        let descriptor = open(file, O_WRONLY | O_CREAT | O_TRUNC, mode)
        _ = Glibc.write(descriptor, bytes, bytes.count)
        _ = fchmod(descriptor, mode)
        close(descriptor)
        return file
    }

    /// A file's content.
    package static func read(_ file: String) -> [UInt8] {
        let descriptor = open(file, O_RDONLY)
        guard descriptor >= 0 else { return [] }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: 1 << 20)
        let count = Glibc.read(descriptor, &bytes, bytes.count)
        return Array(bytes.prefix(max(0, count)))
    }
}

private func removeTree(_ path: String) {
    if let directory = opendir(path) {
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) {
                String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name == "." || name == ".." { continue }
            let inner = path + "/" + name
            var status = stat()
            guard lstat(inner, &status) == 0 else { continue }
            if status.st_mode & S_IFMT == S_IFDIR { removeTree(inner) } else { unlink(inner) }
        }
        closedir(directory)
    }
    rmdir(path)
}
