// Whether a root key is used on the machine it was used on before. An image that was made of a running system carries its
// keys to every machine it is put on: each of them could read what the others store, and nobody would notice.

import BusCrypto

/// The mark of this machine in a state directory: derived from the machine's id under the root key, so that the file tells
/// neither.
struct MachineMark {
    private let file: StateFile
    private let id: StateFile

    /// - Parameter id: where the system keeps the machine's id.
    init(state: String, id: String = "/etc/machine-id") {
        file = StateFile(path: state + "/machine")
        self.id = StateFile(path: id)
    }

    /// Compares with the mark left before, and leaves one where there is none. Nothing is said of a machine without an
    /// id. A mark that differs stays: the warning goes when somebody has done something about it.
    ///
    /// - Returns: what is to be said about it, if anything.
    func warning(_ key: RootKey) throws(ServerError) -> String? {
        guard let id = try id.read(lengthMax: 4096, followsLinks: true), !id.bytes.isEmpty else { return nil }
        let mark: [UInt8]
        do { mark = try key.mark(ofMachine: id.bytes) } catch { throw .state("can't mark the machine: \(error)") }
        let line = Array((mark.hex + "\n").utf8)
        guard let known = try file.read(lengthMax: 4096) else {
            try file.write(line)
            return nil
        }
        guard known.bytes != line else { return nil }
        return "the root key was used on another machine before: if this one is a copy of it, `busd --factory-reset` "
            + "gives it keys of its own; if it was moved or restored here, remove \(file.path)"
    }
}
