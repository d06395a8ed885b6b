// Reads the vectors of C2SP/wycheproof that lie in `Vectors`.

import Foundation
import Testing

enum Wycheproof {
    struct File<Group: Decodable>: Decodable {
        let numberOfTests: Int
        let testGroups: [Group]
    }

    struct AEADGroup: Decodable {
        let ivSize: Int
        let keySize: Int
        let tagSize: Int
        let tests: [AEADTest]
    }

    struct AEADTest: Decodable {
        let tcId: Int
        let key: String
        let iv: String
        let aad: String
        let msg: String
        let ct: String
        let tag: String
        let result: String
    }

    struct HKDFGroup: Decodable {
        let tests: [HKDFTest]
    }

    struct HKDFTest: Decodable {
        let tcId: Int
        let ikm: String
        let salt: String
        let info: String
        let size: Int
        let okm: String
        let result: String
        let flags: [String]
    }

    struct XDHGroup: Decodable {
        let curve: String
        let tests: [XDHTest]
    }

    struct XDHTest: Decodable {
        let tcId: Int
        let `public`: String
        let `private`: String
        let shared: String
        let result: String
        let flags: [String]
    }

    static func read<Group: Decodable>(_ name: String, _: Group.Type) throws -> File<Group> {
        let file = try #require(Bundle.module.url(forResource: name, withExtension: "json", subdirectory: "Vectors"))
        return try JSONDecoder().decode(File<Group>.self, from: Data(contentsOf: file))
    }
}
