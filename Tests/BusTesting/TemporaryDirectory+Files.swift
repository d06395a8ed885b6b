// Files in a test's directory.

package import BusTestKit
package import Glibc

extension TemporaryDirectory {
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
