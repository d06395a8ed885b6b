// What the broker did, sorted for looking at.

import BusWire

@testable import BusBroker

extension [Effect] {
    /// The frames sent to a peer.
    func frames(to peer: Peer) -> [Frame] {
        compactMap { if case .send(peer.id, let frame) = $0 { frame } else { nil } }
    }

    /// What concerns one peer.
    func to(_ peer: Peer) -> [Effect] {
        filter { effect in
            switch effect {
            case .send(let id, _), .grant(let id, _, _), .close(let id, _, _): id == peer.id
            case .openSeal(let order): order.session == peer.id
            case .administer(let id, _), .inspect(let id, _): id == peer.id
            case .openOwnSeal, .closeOwnSeal, .advise, .stopped, .store, .read, .readDue, .seek, .retain, .tend: false
            }
        }
    }

    private func sent<Sought>(_ pick: (Frame) -> Sought?) -> [Sought] {
        compactMap { if case .send(_, let frame) = $0 { pick(frame) } else { nil } }
    }

    var deliveries: [Deliver] { sent { if case .deliver(let deliver) = $0 { deliver } else { nil } } }
    var gaps: [Gap] { sent { if case .gap(let gap) = $0 { gap } else { nil } } }
    var errors: [ErrorFrame] { sent { if case .error(let error) = $0 { error } else { nil } } }
    var receipts: [Receipts] { sent { if case .receipts(let told) = $0 { told } else { nil } } }
    var announcements: [Announcement] { sent { if case .announce(let word) = $0 { word } else { nil } } }
    var endings: [Unsubscribed] { sent { if case .unsubscribed(let end) = $0 { end } else { nil } } }
    var markers: [CaughtUp] { sent { if case .caughtUp(let marker) = $0 { marker } else { nil } } }
    var unanswered: [Unanswered] { sent { if case .unanswered(let word) = $0 { word } else { nil } } }
    var cancellations: [RequestCancelled] { sent { if case .requestCancelled(let word) = $0 { word } else { nil } } }
    var newLimits: [SealLimitsChanged] { sent { if case .sealLimits(let limits) = $0 { limits } else { nil } } }
    var pages: [Inspected] { sent { if case .inspected(let page) = $0 { page } else { nil } } }

    var grants: [Topic] { compactMap { if case .grant(_, let topic, _) = $0 { topic } else { nil } } }
    var closes: [Reason] { compactMap { if case .close(_, let reason, _) = $0 { reason } else { nil } } }
    var orders: [SealOrder] { compactMap { if case .openSeal(let order) = $0 { order } else { nil } } }
    var stops: Int { count { if case .stopped = $0 { true } else { false } } }

    /// What each effect is, to compare their order.
    var kinds: [String] {
        map { effect in
            switch effect {
            case .send(_, let frame): frame.type.name
            case .openSeal: "openSeal"
            case .grant: "granting"
            case .close: "close"
            case .openOwnSeal: "openOwnSeal"
            case .closeOwnSeal: "closeOwnSeal"
            case .advise: "advise"
            case .stopped: "stopped"
            case .store: "store"
            case .read: "read"
            case .readDue: "readDue"
            case .seek: "seek"
            case .retain: "retain"
            case .tend: "tend"
            case .administer: "administer"
            case .inspect: "inspecting"
            }
        }
    }
}

extension Deliver {
    /// The positions of the events that are meant.
    var sequences: [UInt64] {
        let count = (try? SealedBatch(batch)).map { Int($0.header.eventCount) } ?? 0
        guard let selected = try? Selection(selection, of: count) else { return [] }
        return (0..<count).filter(selected.contains).map { firstSequence + UInt64($0) }
    }
}

extension [Deliver] {
    /// The positions of all events that are meant, in the order in which they were handed over.
    var sequences: [UInt64] { flatMap(\.sequences) }
}
