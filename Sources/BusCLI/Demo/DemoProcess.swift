// A process of the demo, and what it prints: kept in memory, so that it never waits for us and leaves no file.

import CLinux
import Glibc

/// What a process writes, line by line.
final class Capture {
    /// For the process to write to.
    let descriptor: CInt
    private var position = 0
    private var rest: [UInt8] = []
    private var all: [String] = []
    private var told = 0

    init() throws {
        descriptor = linux_memfd("demo", 1 /* MFD_CLOEXEC */)
        guard descriptor >= 0 else { throw Failure(.other, "memfd: \(String(cString: strerror(-descriptor)))") }
    }

    deinit { close(descriptor) }

    /// All whole lines so far.
    var lines: [String] {
        read()
        return all
    }

    /// The lines that came since this was called last.
    func takeNewLines() -> [String] {
        defer { told = all.count }
        return Array(lines[told...])
    }

    private func read() {
        var chunk = [UInt8](repeating: 0, count: 256 << 10)
        while true {
            let n = pread(descriptor, &chunk, chunk.count, position)
            guard n > 0 else { break }
            position += n
            rest.append(contentsOf: chunk[..<n])
        }
        guard let end = rest.lastIndex(of: 10) else { return }
        for line in rest[..<end].split(separator: 10, omittingEmptySubsequences: false) {
            all.append(String(decoding: line, as: UTF8.self))
        }
        rest.removeSubrange(...end)
    }
}

/// A started `bus`.
final class DemoProcess {
    let name: String
    let output: Capture
    private let errors: Capture
    private let child: ChildProcess
    private var ended: Int32?

    init(_ name: String, _ argv: [String], environment: [String: String], input: [UInt8]) throws {
        self.name = name
        output = try Capture()
        errors = try Capture()
        child = try ChildProcess(
            argv, environment: environment, input: input, output: output.descriptor, errors: errors.descriptor)
    }

    var pid: pid_t { child.pid }

    /// The exit status, once it has ended.
    var status: Int32? {
        if ended == nil { ended = child.poll() }
        return ended
    }

    /// What it said on standard error.
    var complaints: [String] { errors.lines }

    /// How it ended, as an error.
    var failure: Failure {
        let what = complaints.joined(separator: "\n")
        return Failure(.other, "demo: \(name) ended with status \(status ?? -1)\(what.isEmpty ? "" : ": \(what)")")
    }

    func mustRun() throws { if status != nil { throw failure } }

    func signal(_ number: Int32) { if status == nil { child.signal(number) } }

    /// Ends it for certain, also while it is stopped.
    func end() {
        guard status == nil else { return }
        child.signal(SIGKILL)
        ended = child.wait()
    }

    /// The kernel's letter for what it is doing: `S` sleeping, `T` stopped …
    var state: Character? {
        guard let text = HostReadings.file("/proc/\(pid)/stat"), let name = text.lastIndex(of: ")") else { return nil }
        return text[name...].dropFirst(2).first
    }
}
