// What one user may hold, and how it is told.

import Testing

@testable import BusBroker

@Suite struct QuotasTests {
    @Test func aFaultNamesQuotaUserAndNumbers() {
        let fault = QuotaFault(quota: "topics", used: 3, limit: 3, uid: 7)
        #expect(fault.message == "quota topics of uid 7 is used up: 3 of 3")
    }

    @Test func everythingIsBoundedButThePublishRateUnlessSomebodySaysSo() {
        let quotas = Quotas()
        let bounds = [
            quotas.connections, quotas.subscriptions, quotas.topics, quotas.queuedLength, quotas.kernelLength,
            quotas.retainedLength, quotas.outstandingEvents, quotas.requests, quotas.parkedLength,
            quotas.seals, quotas.connectRate, quotas.sealRate,
        ]
        #expect(bounds.allSatisfy { $0 > 0 })
        #expect(quotas.publishRate == 0)
    }
}
