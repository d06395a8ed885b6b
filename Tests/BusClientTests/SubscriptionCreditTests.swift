import Testing

@testable import BusClient

@Suite struct SubscriptionCreditTests {
    @Test func `credit is told in quarters of the window, as totals`() {
        var credit = SubscriptionCredit(events: 100, bytes: 1000)
        #expect(credit.grantedEvents == 100 && credit.grantedBytes == 1000)
        #expect(credit.consume(events: 24, bytes: 0) == false)
        #expect(credit.takeDue() == nil)
        #expect(credit.consume(events: 1, bytes: 10) == true)
        let due = credit.takeDue()
        #expect(due?.events == 125 && due?.bytes == 1010)
        #expect(credit.takeDue() == nil)
        #expect(credit.consume(events: 0, bytes: 250) == true)
    }

    @Test func `what waited over a reconnect fills the new window until it is taken`() {
        var credit = SubscriptionCredit(events: 100, bytes: 1000)
        _ = credit.consume(events: 60, bytes: 600)
        credit.restart(heldEvents: 40, heldBytes: 1200)
        #expect(credit.grantedEvents == 60 && credit.grantedBytes == 0)
        #expect(credit.consume(events: 40, bytes: 1200) == true)
        let due = credit.takeDue()
        #expect(due?.events == 100 && due?.bytes == 1000)
    }

    @Test func `as much as one likes leaves room to count on`() {
        var credit = SubscriptionCredit(events: .max, bytes: .max)
        #expect(credit.grantedEvents == 1 << 48)
        #expect(credit.consume(events: 1 << 20, bytes: 1 << 30) == false)
    }
}
