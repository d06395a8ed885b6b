// What a user holds, and when it holds nothing.

import Testing

@testable import BusBroker

@Suite struct AccountTests {
    @Test func anAccountIsIdleWhenEverythingButTopicsIsGivenBack() {
        let account = Account(uid: 7)
        account.topicCount = 3
        #expect(account.isIdle)
        for charge in [\Account.connectionCount, \.subscriptionCount, \.queuedLength, \.parkedLength] {
            account[keyPath: charge] += 1
            #expect(!account.isIdle)
            account[keyPath: charge] -= 1
        }
        #expect(account.isIdle)
    }

    @Test func aFaultNamesQuotaUserAndNumbers() {
        let fault = QuotaFault(quota: "topics", used: 3, limit: 3, uid: 7)
        #expect(fault.message == "quota topics of uid 7 is used up: 3 of 3")
    }
}
