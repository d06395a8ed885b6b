import BusCrypto
import BusTesting
import Glibc
import Testing

@testable import BusServer

/// Whether a root key is where it was.
@Suite struct MachineMarkTests {
    private let directory: TemporaryDirectory
    private let key: RootKey

    init() throws {
        directory = try TemporaryDirectory()
        key = try RootKey.random()
    }

    private func warning(on id: String?, _ key: RootKey? = nil) throws -> String? {
        let path = directory.path + "/machine-id"
        if let id { directory.write("machine-id", Array(id.utf8)) } else { unlink(path) }
        return try MachineMark(state: directory.path, id: path).warning(key ?? self.key)
    }

    private var mark: [UInt8] { TemporaryDirectory.read(directory.path + "/machine") }

    @Test func `the first start leaves a mark that tells neither key nor machine, and the next ones are content`()
        throws
    {
        #expect(try warning(on: "0123456789abcdef\n") == nil)
        let text = String(decoding: mark, as: UTF8.self)
        #expect(text.hasSuffix("\n") && text.count > 16 && !text.contains("0123456789abcdef"))
        #expect(!text.contains("\(key.id)"))
        #expect(try warning(on: "0123456789abcdef\n") == nil)
        #expect(String(decoding: mark, as: UTF8.self) == text)
    }

    @Test func `another machine, or another key, is warned of until somebody does something about it`() throws {
        #expect(try warning(on: "one") == nil)
        let left = mark
        for _ in 0..<2 {
            let text = try #require(try warning(on: "two"))
            #expect(text.contains("--factory-reset") && text.contains(directory.path + "/machine"))
        }
        #expect(mark == left)
        #expect(try warning(on: "one", RootKey.random()) != nil)
        #expect(try warning(on: "one") == nil)
        unlink(directory.path + "/machine")
        #expect(try warning(on: "two") == nil)
        #expect(try warning(on: "two") == nil && mark != left)
    }

    @Test func `a machine without an id is like any other, and leaves no mark`() throws {
        #expect(try warning(on: nil) == nil && mark.isEmpty)
        #expect(try warning(on: "") == nil && mark.isEmpty)
        #expect(try warning(on: "one") == nil)
        #expect(try warning(on: nil) == nil && !mark.isEmpty)
    }
}
