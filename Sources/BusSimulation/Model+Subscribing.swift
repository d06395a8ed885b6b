// Who may subscribe to what, alone or in a group.

import BusBroker
import BusWire

extension Model {
    func note(_ request: Subscribe, _ session: ModelSession) {
        let number = UInt64(request.subscription)
        var faults: Set<Reason> = []
        let filter = try? TopicFilter(bytes: request.filter)
        if filter == nil { faults.insert(.badFilter) }
        let isReply = filter.map { $0.tokens[0].elementsEqual("$reply".utf8) } ?? false
        if isReply, request.filter != session.replyTopic.bytes { faults.insert(.denied) }
        let policy = OverflowPolicy(rawValue: request.overflow)
        // It would hold back everybody who answers, or the daemon.
        if policy == .stall, request.filter.first == UInt8(ascii: "$") { faults.insert(.notSupported) }
        if policy == nil || request.stallMilliseconds > Limits.stallMillisecondsMax { faults.insert(.notSupported) }
        if request.creditEvents > Limits.creditMax || request.creditBytes > Limits.creditMax {
            faults.insert(.invalidCredit)
        }
        let group = request.group.isEmpty ? nil : try? GroupName(bytes: request.group)
        if !request.group.isEmpty, group == nil { faults.insert(.badGroup) }
        if request.mode.contains(.exclusive), request.group.isEmpty { faults.formUnion([.badGroup, .notSupported]) }
        if request.mode.contains(.last), !request.group.isEmpty { faults.insert(.notSupported) }
        if !request.mode.isSubset(of: .known) { faults.insert(.notSupported) }
        if session.subscriptions[request.subscription] != nil { faults.insert(.subscriptionExists) }
        if session.subscriptions.count >= configuration.subscriptionCountMax { faults.insert(.quotaExceeded) }
        if subscriptionCount(of: session.uid) >= configuration.quotas.subscriptions { faults.insert(.quotaExceeded) }
        let stream = groups.first { $0.group == group && $0.filter == filter }
        if let stream, !agrees(request, policy, stream) { faults.insert(.groupConflict) }
        guard faults.isEmpty, let filter, let policy else { return owe(session, .subscribe, number, faults) }
        join(request, session, stream ?? ModelStream(request, filter: filter, group: group, policy: policy))
    }

    private func agrees(_ request: Subscribe, _ policy: OverflowPolicy?, _ stream: ModelStream) -> Bool {
        policy == stream.policy
            && (policy != .stall || UInt64(request.stallMilliseconds) * 1_000_000 == stream.stallTime)
            && request.mode.contains(.exclusive) == stream.isExclusive
            && request.mode.contains(.responds) == stream.responds
    }

    private func join(_ request: Subscribe, _ session: ModelSession, _ stream: ModelStream) {
        let subscription = ModelSubscription(request, session: session, stream: stream)
        if stream.group != nil, stream.members.isEmpty { groups.append(stream) }
        stream.members.append(subscription)
        session.subscriptions[request.subscription] = subscription
        session.owedAnswers.append(.subscribed(request.subscription))
        if request.mode.contains(.last) { beginWithLast(subscription) }
    }
}
