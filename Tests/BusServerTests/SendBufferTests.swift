import BusBroker
import Testing

@testable import BusServer

@Suite struct SendBufferTests {
    private let step = SendBuffer.large - SendBuffer.start

    @Test func `a user's connections are raised within the user's budget, and give back what they had`() {
        var buffers = SendBuffer()
        let possible = SendBuffer.budget / step
        for id in 1...UInt64(possible + 1) { buffers.note(SessionID(id), uid: 1000) }
        for id in 1...UInt64(possible) {
            #expect(buffers.raise(SendBuffer.start, of: SessionID(id)) == SendBuffer.large)
        }
        let last = SessionID(UInt64(possible + 1))
        #expect(buffers.raise(SendBuffer.start, of: last) == nil)
        buffers.note(SessionID(9999), uid: 1001)
        #expect(buffers.raise(SendBuffer.start, of: SessionID(9999)) == SendBuffer.large)
        buffers.forget(SendBuffer.large, of: SessionID(1))
        #expect(buffers.raise(SendBuffer.start, of: last) == SendBuffer.large)
    }

    @Test func `who is raised already, or unknown, stays`() {
        var buffers = SendBuffer()
        buffers.note(SessionID(1), uid: 1)
        #expect(buffers.raise(SendBuffer.large, of: SessionID(1)) == nil)
        #expect(buffers.raise(SendBuffer.start, of: SessionID(2)) == nil)
    }

    @Test func `forgetting twice, or one that was never raised, gives back nothing`() {
        var buffers = SendBuffer()
        let possible = UInt64(SendBuffer.budget / step)
        for id in 1...possible + 2 { buffers.note(SessionID(id), uid: 1) }
        for id in 1...possible { _ = buffers.raise(SendBuffer.start, of: SessionID(id)) }
        buffers.forget(SendBuffer.start, of: SessionID(possible + 1))
        buffers.forget(SendBuffer.large, of: SessionID(1))
        buffers.forget(SendBuffer.large, of: SessionID(1))
        #expect(buffers.raise(SendBuffer.start, of: SessionID(possible + 2)) == SendBuffer.large)
        buffers.note(SessionID(7777), uid: 1)
        #expect(buffers.raise(SendBuffer.start, of: SessionID(7777)) == nil)
    }
}
