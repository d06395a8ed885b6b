import BusTesting
import BusWire
import Logging
import Testing

@testable import BusServer

@Suite struct DaemonConfigurationTests {
    private func read(_ yaml: String) throws(ServerError) -> DaemonConfiguration {
        var configuration = DaemonConfiguration()
        try configuration.read(yaml: yaml, from: "busd.yaml")
        return configuration
    }

    private func refusal(_ yaml: String, location: SourceLocation = #_sourceLocation) -> String {
        do throws(ServerError) {
            let configuration = try read(yaml)
            Issue.record("it was taken: \(configuration)", sourceLocation: location)
            return ""
        } catch {
            return error.description
        }
    }

    @Test func `every key is read, the others keep their defaults`() throws {
        #expect(try read("socket: /run/x/bus.sock").socket == "/run/x/bus.sock")
        #expect(try read("state: /var/lib/x").state == "/var/lib/x")
        #expect(try read("log_level: debug").logLevel == .debug)
        #expect(try read("bus_name: kitchen").busName == "kitchen")
        #expect(try read("payload_max: 2MiB").payloadLengthMax == 2 << 20)
        #expect(try read("payload_max: 64KiB").payloadLengthMax == 64 << 10)
        #expect(try read("payload_max: 1000").payloadLengthMax == 1000)
        #expect(try read("payload_max: 64MiB").payloadLengthMax == Limits.payloadLengthCeiling)
    }

    @Test(arguments: ["", "\n\n", "# nothing\n", "---\n", "null\n"])
    func `an empty file changes nothing`(yaml: String) throws {
        #expect(try read(yaml) == DaemonConfiguration())
    }

    @Test func `a later file wins where it says something`() throws {
        var configuration = try read("log_level: debug\nbus_name: one")
        try configuration.read(yaml: "bus_name: two", from: "second.yaml")
        #expect(configuration.busName == "two" && configuration.logLevel == .debug)
    }

    @Test(arguments: [
        ("sokcet", "socket"), ("loglevel", "log_level"), ("payloadmax", "payload_max"), ("bus-name", "bus_name"),
    ])
    func `an unknown key is refused with its line and the nearest known one`(key: String, nearest: String) {
        let text = refusal("# first\nstate: /x\n\(key): 1\n")
        #expect(text.contains("busd.yaml:3") && text.contains("`\(key)`") && text.contains("`\(nearest)`"))
    }

    @Test(arguments: ["0", "-1", "65MiB", "1GiB", "much", "1 MiB", "1.5MiB", "9223372036854775807MiB", "1e6"])
    func `a wrong size is refused with an example`(size: String) {
        #expect(refusal("payload_max: \(size)").contains("such as 4MiB"))
    }

    @Test func `a wrong value is refused with file and line`() {
        #expect(refusal("log_level: loud").contains("busd.yaml:1: log_level `loud` is none of trace, debug"))
        #expect(
            refusal("\nsocket: run/bus.sock").contains("busd.yaml:2: socket `run/bus.sock` must be an absolute path"))
        #expect(refusal("state: [/a, /b]").contains("busd.yaml:1: `state` needs one value"))
        #expect(refusal("state: {a: b}").contains("needs one value"))
        #expect(refusal("- state").contains("expected `key: value`"))
        #expect(refusal("state").contains("expected `key: value`"))
    }

    @Test func `what isn't YAML is refused with its line`() {
        let text = refusal("state: /x\nsocket: \"/y\nlog_level: [")
        #expect(text.hasPrefix("busd.yaml"))
    }

    @Test(arguments: ["bus_name:", "bus_name: ~", "bus_name: null", "socket:", "bus_name: >\n", "bus_name: ''"])
    func `a key without a value is refused`(yaml: String) {
        #expect(refusal(yaml).contains("needs one value"))
    }

    @Test func `a key that comes twice is refused`() {
        #expect(refusal("bus_name: a\nbus_name: b").contains("bus_name"))
    }

    @Test(arguments: ["no", "yes", "on", "12", "1.5", "0x10", "1e3"]) func `a name is text, whatever YAML makes of it`(
        name: String
    ) throws {
        #expect(try read("bus_name: \(name)").busName == name)
    }

    @Test(arguments: [
        ("state: &here /var/lib/x", "busd.yaml:1: `state` has an anchor: write the value wherever it is meant"),
        ("quotas: &q\n  connections: 1", "busd.yaml:1: `quotas` has an anchor"),
        ("topics:\n  'a': &a {kind: live}\n  'b': *a", "busd.yaml:2: `a` has an anchor"),
        ("topics:\n  &a a: {kind: live}", "busd.yaml:2: `a` must be a plain name, without anchor or tag"),
        ("log_level: info\nstate: !!str /var/lib/x", "busd.yaml:2: `state` has a tag: write the value alone"),
        ("topics: !!map\n  'a': {kind: live}", "busd.yaml:1: `topics` has a tag"),
        ("topics:\n  'a':\n    retain: !!bool true", "busd.yaml:3: `retain` has a tag"),
        ("topics:\n  'a':\n    retain: !mine 'true'", "busd.yaml:3: `retain` has a tag"),
        ("&all\nstate: /x", "the file has an anchor"),
        ("state: *nowhere", "undefined alias"),
    ])
    func `anchors, aliases and tags are refused with their place`(yaml: String, message: String) {
        let text = refusal(yaml)
        #expect(text.contains(message), "\(text)")
    }

    @Test func `what is quoted or a block is no tag`() throws {
        #expect(try read("state: '/var/lib/x'").state == "/var/lib/x")
        #expect(try read("state: \"/var/lib/x\"").state == "/var/lib/x")
        #expect(try read("state: >-\n  /var/lib/x").state == "/var/lib/x")
    }

    @Test(arguments: ["<<: {state: /x}", "state: !custom /x"])
    func `merges and tags are refused`(yaml: String) {
        #expect(refusal(yaml).hasPrefix("busd.yaml"))
    }

    @Test func `a file that is missing or too long is refused`() throws {
        let directory = try TemporaryDirectory()
        var configuration = DaemonConfiguration()
        #expect { try configuration.read(file: directory.path + "/none.yaml") } throws: {
            "\($0)".contains("no such file")
        }
        let long = directory.write("long.yaml", [UInt8](repeating: UInt8(ascii: "#"), count: (1 << 20) + 1))
        #expect(throws: ServerError.self) { try configuration.read(file: long) }
        let good = directory.write("good.yaml", Array("bus_name: x\n".utf8))
        try configuration.read(file: good)
        #expect(configuration.busName == "x")
    }
}
