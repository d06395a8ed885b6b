// The defaults that other rooms rely on.

import BusWire
import Testing

@testable import BusBroker

@Suite struct BrokerConfigurationTests {
    @Test func nobodyIsAdmittedUnlessSomebodySaysSo() {
        #expect(BrokerConfiguration().admittedUIDs.isEmpty)
    }

    @Test func framesHoldTheLongestPayloadAndTheLongestBatch() {
        var configuration = BrokerConfiguration()
        #expect(configuration.frameLengthMax == Limits.payloadLengthMax + Limits.batchOverheadMax)
        configuration.payloadLengthMax = 1
        #expect(configuration.frameLengthMax == Limits.batchOverheadMax + 1)
        #expect(configuration.frameLengthMax >= Limits.batchLengthMax)
    }

    @Test func theHelloHasFiveSeconds() {
        #expect(BrokerConfiguration().helloTimeout == 5_000_000_000)
    }

    @Test func aFrameOfReceiptsFitsEveryDaemonsLimit() {
        let length = Frame.receipts(
            Receipts(
                progress: 0,
                receipts: (0..<Broker.receiptCountMax).map { _ in
                    Receipt(number: 0, firstSequence: 0, eventCount: 0, liveMatches: 0)
                })
        ).encoded.count
        #expect(length <= Limits.frameLengthMax(payloadLengthMax: 0))
    }
}
