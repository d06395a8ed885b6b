import Glibc
import Testing

@testable import BusStore

@Suite struct MailboxTests {
    @Test func `What is left before closing can still be taken, nothing after`() {
        let mailbox = Mailbox<Int>()
        #expect(mailbox.fill { $0.append(1) } != nil)
        mailbox.close()
        #expect(mailbox.fill { $0.append(2) } == nil)
        var taken: [Int] = []
        #expect(mailbox.take(into: &taken, waiting: true))
        #expect(taken == [1])
        taken = []
        #expect(!mailbox.take(into: &taken, waiting: true))
    }

    @Test func `A sleeping thread is woken by what comes, and gets all in order`() throws {
        let (there, back) = (Mailbox<Int>(), Mailbox<Int>())
        let thread = try StoreThread("mailbox-test") {
            var taken: [Int] = []
            while there.take(into: &taken, waiting: true) {
                for number in taken { _ = back.fill { $0.append(number) } }
                taken.removeAll(keepingCapacity: true)
            }
            back.close()
        }
        for number in 0..<10_000 { _ = there.fill { $0.append(number) } }
        there.close()
        thread.join()
        var (all, taken): ([Int], [Int]) = ([], [])
        while back.take(into: &taken, waiting: true) {
            all += taken
            taken = []
        }
        #expect(all == Array(0..<10_000))
    }

    @Test func `What is in an abandoned one is forgotten, and nothing comes behind it`() {
        let mailbox = Mailbox<Int>()
        _ = mailbox.fill { $0.append(1) }
        #expect(!mailbox.isAbandoned)
        mailbox.abandon()
        #expect(mailbox.isAbandoned)
        #expect(mailbox.fill { $0.append(2) } == nil)
        var taken: [Int] = []
        #expect(!mailbox.take(into: &taken, waiting: true))
        #expect(taken == [])
    }
}
