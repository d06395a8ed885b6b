import Testing

@testable import BusCrypto

@Suite struct RootKeyIDTests {
    @Test("An id is written with 16 digits and read back")
    func roundTrip() {
        for value in [0, 1, 0x46d6_df40_0dea_32b4, UInt64.max] {
            let id = RootKeyID(rawValue: value)
            #expect(id.description.utf8.count == 16)
            #expect(RootKeyID(id.description) == id)
        }
    }

    @Test(
        "Other spellings are refused",
        arguments: [
            "", "0", "46D6DF400DEA32B4", "+6d6df400dea32b4", "46d6df400dea32b", "46d6df400dea32b4a", "g6d6df400dea32b4",
        ])
    func spellings(text: String) {
        #expect(RootKeyID(text) == nil)
    }
}
