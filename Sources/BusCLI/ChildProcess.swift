// Other programs: started without a shell, waited for without blocking the connection.

import CLinux
import Glibc

/// A started program.
struct ChildProcess: Sendable {
    let pid: pid_t

    /// Starts `argv[0]`, looked up in PATH, with standard input from `input`, standard output to `output`, standard
    /// error to `errors` (nil: ours) and more environment.
    ///
    /// - Throws: `Failure`, when there is no such program.
    init(
        _ argv: [String], environment: [String: String] = [:], input: [UInt8]? = nil, output: CInt? = nil,
        errors: CInt? = nil, resetsInterrupt: Bool = false, ownGroup: Bool = false
    ) throws {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        let inputFile = try input.map { try ChildProcess.memoryFile($0) }
        defer { if let inputFile { close(inputFile) } }
        if let inputFile { posix_spawn_file_actions_adddup2(&actions, inputFile, 0) }
        if let output { posix_spawn_file_actions_adddup2(&actions, output, 1) }
        if let errors { posix_spawn_file_actions_adddup2(&actions, errors, 2) }
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        // A child begins with the signals of a shell's child, whatever this process does with its own.
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigmask(&attributes, &none)
        var interrupts = sigset_t()
        sigemptyset(&interrupts)
        if resetsInterrupt { sigaddset(&interrupts, SIGINT) }
        posix_spawnattr_setsigdefault(&attributes, &interrupts)
        let group = ownGroup ? POSIX_SPAWN_SETPGROUP : 0
        posix_spawnattr_setpgroup(&attributes, 0)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | group))
        var arguments: [UnsafeMutablePointer<CChar>?] = argv.map { strdup($0) } + [nil]
        defer { for argument in arguments { free(argument) } }
        var variables: [UnsafeMutablePointer<CChar>?] = ChildProcess.merged(environment).map { strdup($0) } + [nil]
        defer { for variable in variables { free(variable) } }
        var started: pid_t = 0
        let result = posix_spawnp(&started, argv[0], &actions, &attributes, &arguments, &variables)
        guard result == 0 else {
            throw Failure(.other, "can't run \(argv[0]): \(String(cString: strerror(result)))")
        }
        pid = started
    }

    /// Whether `name` can be run, by the rules of PATH: asked before anything depends on it. It may still fail later.
    ///
    /// - Throws: `Failure`, with a shell's status.
    static func check(_ name: String) throws {
        let path = getenv("PATH").map { String(cString: $0) } ?? "/bin:/usr/bin"
        let places =
            name.contains("/")
            ? [name]
            : path.split(separator: ":", omittingEmptySubsequences: false).map { ($0.isEmpty ? "." : $0) + "/" + name }
        var fault = ENOENT
        for place in places {
            var status = stat()
            guard !name.isEmpty, stat(place, &status) == 0 else { continue }
            if status.st_mode & S_IFMT == S_IFREG, access(place, X_OK) == 0 { return }
            fault = EACCES
        }
        throw Failure(.notRunnable, "can't run \(name): \(String(cString: strerror(fault)))")
    }

    /// A file in memory that holds `bytes`, to be read from its beginning: a pipe would have to be fed.
    private static func memoryFile(_ bytes: [UInt8]) throws -> CInt {
        let descriptor = linux_memfd("payload", 1 /* MFD_CLOEXEC */)
        guard descriptor >= 0 else { throw Failure(.other, "memfd: \(String(cString: strerror(-descriptor)))") }
        Standard.write(bytes, to: descriptor)
        lseek(descriptor, 0, SEEK_SET)
        return descriptor
    }

    private static func merged(_ more: [String: String]) -> [String] {
        var variables: [String] = []
        var next = environ
        while let entry = next.pointee {
            let text = String(cString: entry)
            let name = text.split(separator: "=", maxSplits: 1).first
            if let name, more[String(name)] == nil { variables.append(text) }
            next += 1
        }
        return variables + more.map { "\($0.key)=\($0.value)" }
    }

    /// The status of one whose own is lost, since somebody else has taken it: not that of a success.
    private static let lostStatus: Int32 = 255

    /// Waits, blocking this thread; the exit status as a shell gives it: 128 and the signal for one that was killed.
    func wait() -> Int32 {
        var status: Int32 = 0
        while true {
            if waitpid(pid, &status, 0) == pid { return ChildProcess.shellStatus(status) }
            if errno != EINTR { return ChildProcess.lostStatus }
        }
    }

    /// The exit status if it has ended.
    func poll() -> Int32? {
        var status: Int32 = 0
        let found = waitpid(pid, &status, WNOHANG)
        if found == pid { return ChildProcess.shellStatus(status) }
        // No child of ours any more: asking again would never end.
        return found < 0 && errno == ECHILD ? ChildProcess.lostStatus : nil
    }

    private static func shellStatus(_ status: Int32) -> Int32 {
        status & 0x7f == 0 ? (status >> 8) & 0xff : 128 + (status & 0x7f)
    }

    /// Whether it has not ended yet; leaves the exit status to `wait` and `poll`.
    var isRunning: Bool {
        var info = siginfo_t()
        return waitid(P_PID, id_t(pid), &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_signo == 0
    }

    func signal(_ number: Int32) { _ = kill(pid, number) }
}
