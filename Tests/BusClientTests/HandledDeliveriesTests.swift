import Testing

@testable import BusClient

@Suite struct HandledDeliveriesTests {
    @Test func `an acknowledgement waits for the slowest`() {
        var deliveries = HandledDeliveries()
        deliveries.began(1, events: 1, bytes: 10)
        deliveries.began(2, events: 2, bytes: 20)
        deliveries.began(3, events: 1, bytes: 30)
        #expect(deliveries.handledOne(of: 3) == 30)
        #expect(deliveries.handledOne(of: 2) == 0)
        #expect(deliveries.through == 0)
        #expect(deliveries.handledOne(of: 1) == 10)
        #expect(deliveries.through == 1)
        #expect(deliveries.handledOne(of: 2) == 20)
        #expect(deliveries.through == 3)
    }

    @Test func `a delivery that brought nothing is handled with those before it`() {
        var deliveries = HandledDeliveries()
        deliveries.began(1, events: 0, bytes: 0)
        #expect(deliveries.through == 1)
        deliveries.began(2, events: 1, bytes: 5)
        deliveries.began(3, events: 0, bytes: 0)
        #expect(deliveries.through == 1)
        #expect(deliveries.handledOne(of: 2) == 5)
        #expect(deliveries.through == 3)
    }

    @Test func `numbers that a daemon should not give do no harm`() {
        var deliveries = HandledDeliveries()
        deliveries.began(7, events: 1, bytes: 1)
        deliveries.began(7, events: 1, bytes: 1)
        deliveries.began(3, events: 1, bytes: 1)
        deliveries.began(1000, events: 1, bytes: 2)
        #expect(deliveries.handledOne(of: 8) == 0)
        #expect(deliveries.handledOne(of: 3) == 0)
        #expect(deliveries.handledOne(of: 1000) == 2)
        #expect(deliveries.handledOne(of: 1000) == 0)
        #expect(deliveries.handledOne(of: 7) == 1)
        #expect(deliveries.through == 1000)
    }
}
