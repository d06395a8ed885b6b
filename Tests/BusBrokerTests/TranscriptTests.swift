// Stories of the broker, word for word: each file in Transcripts says why it exists, what happens and what follows.
// `RECORD=1 swift test --filter TranscriptTests` writes what follows now; the diff is then to be read.

import Foundation
import Testing

@Suite struct TranscriptTests {
    private static let folder = (#filePath as NSString).deletingLastPathComponent + "/Transcripts"

    private static var names: [String] {
        let files = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        return files.filter { $0.hasSuffix(".txt") }.sorted()
    }

    @Test(arguments: TranscriptTests.names)
    func theBrokerDoesWhatTheStorySays(name: String) throws {
        let path = TranscriptTests.folder + "/" + name
        let recorded = try String(contentsOfFile: path, encoding: .utf8)
        #expect(recorded.hasPrefix("# "), "a story opens with why it exists")
        let now = try Transcript.rerun(recorded)
        if ProcessInfo.processInfo.environment["RECORD"] == "1" {
            try now.write(toFile: path, atomically: true, encoding: .utf8)
            return
        }
        let lines = (recorded.split(separator: "\n"), now.split(separator: "\n"))
        let first = zip(lines.0, lines.1).first { $0 != $1 }
        #expect(now == recorded, "\(name): first difference: recorded “\(first?.0 ?? "")”, now “\(first?.1 ?? "")”")
    }

    @Test func thereAreStories() {
        #expect(TranscriptTests.names.count >= 18)
    }
}
