import Testing

@testable import BusServer

@Suite struct SendBufferTests {
    @Test func `a buffer is charged as the kernel counts it, twice its size`() {
        #expect(SendBuffer.charge(SendBuffer.start) == 65_536)
        #expect(SendBuffer.charge(SendBuffer.large) - SendBuffer.charge(SendBuffer.start) == 2 * 176 << 10)
    }
}
