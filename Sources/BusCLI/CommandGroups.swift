// Commands of `--exec` have process groups of their own, so that one can be ended with all it started. The price: a
// Ctrl-C on the terminal, or a SIGTERM to us, doesn't reach them by itself.

import Glibc

/// The process groups that end with this process.
enum CommandGroups {
    /// From here on a signal that ends this process ends them first. One that is ignored stays so.
    static func endWithUs() {
        groups.initialize(repeating: 0, count: groupsMax)
        for number in [SIGINT, SIGTERM, SIGHUP] {
            let before = signal(number) { number in
                for index in 0..<groupsMax where groups[index] != 0 { kill(-groups[index], number) }
                signal(number, SIG_DFL)
                raise(number)
            }
            if unsafeBitCast(before, to: Int.self) == unsafeBitCast(SIG_IGN, to: Int.self) { signal(number, SIG_IGN) }
        }
    }

    static func add(_ pid: pid_t) { replace(0, by: pid) }

    static func remove(_ pid: pid_t) { replace(pid, by: 0) }

    /// Written by one thread, the reactor's, a word at a time.
    private static func replace(_ old: pid_t, by new: pid_t) {
        if let index = (0..<groupsMax).first(where: { groups[$0] == old }) { groups[index] = new }
    }
}

/// As many as `--parallel` allows, and some that were just asked to end.
private let groupsMax = 512
/// Read by a signal handler, which may neither lock nor allocate.
private nonisolated(unsafe) let groups = UnsafeMutablePointer<pid_t>.allocate(capacity: groupsMax)
