import BusTesting
import BusWire
import CLinux
import Glibc
import Testing

/// A daemon of its own, because a full descriptor table is a matter of the whole process.
@Suite(.timeLimit(.minutes(1))) struct DescriptorTests {
    @Test func `a daemon without descriptors says so, and serves on when there are some again`() async throws {
        let daemon = try #require(DescriptorTests.daemon, "busd lies beside the tests")
        let directory = try TemporaryDirectory()
        let socket = directory.path + "/bus.sock"
        // What this process has open and would hand down is nothing of the daemon's.
        let script = """
            for fd in /proc/$$/fd/*; do n=${fd##*/}; if [ "$n" -gt 2 ]; then eval "exec $n>&-"; fi; done
            ulimit -n 24; exec "$0" --socket "$1" --state "$2" 2>/dev/null
            """
        var pid = pid_t()
        let words: [String] = ["bash", "-c", script, daemon, socket, directory.path + "/state"]
        var arguments: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) }
        arguments.append(nil)
        defer { for argument in arguments { free(argument) } }
        try #require(posix_spawn(&pid, "/bin/bash", nil, nil, arguments, environ) == 0)
        defer {
            kill(pid, SIGKILL)
            waitpid(pid, nil, 0)
        }
        await eventually("busd's socket") { access(socket, F_OK) == 0 && (try? RawPeer(socket)) != nil }
        var peers: [RawPeer] = []
        var refused: RawPeer?
        for _ in 0..<30 where refused == nil {
            let peer = try RawPeer(socket)
            peer.send(try RawPeer.hello())
            switch try peer.next() {
            case .welcome: peers.append(peer)
            case .error(let error):
                #expect(error.reason == .descriptorsExhausted && error.isFatal)
                refused = peer
            default: Issue.record("neither welcome nor refusal")
            }
        }
        #expect(refused != nil)
        try #require(peers.count > 1)
        peers.removeLast()
        await eventually("a connection") { (try? RawPeer(socket).greet()) != nil }
        // Those who are in notice nothing.
        peers[0].send(.inspect(Inspect(request: 1, kind: .status)))
        guard case .inspected = try peers[0].next() else {
            Issue.record("an earlier connection suffers")
            return
        }
    }

    /// The daemon built together with these tests.
    private static var daemon: String? {
        var buffer = [CChar](repeating: 0, count: 4096)
        let count = readlink("/proc/self/exe", &buffer, buffer.count - 1)
        guard count > 0 else { return nil }
        let path = String(decoding: buffer.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self)
        guard let slash = path.lastIndex(of: "/") else { return nil }
        let daemon = String(path[...slash]) + "busd"
        return access(daemon, X_OK) == 0 ? daemon : nil
    }
}
