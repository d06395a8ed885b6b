import BusWire

@testable import BusClient

/// Whether an error is this case of `BusError`.
func isError(_ error: any Error, _ name: String) -> Bool {
    guard let error = error as? BusError else { return false }
    return (Mirror(reflecting: error).children.first?.label ?? "\(BusErrorName(error))") == name
}

/// The cases without a value.
private enum BusErrorName {
    case closed, cancelled, forked, other

    init(_ error: BusError) {
        switch error {
        case .closed: self = .closed
        case .cancelled: self = .cancelled
        case .forked: self = .forked
        default: self = .other
        }
    }
}

/// Options with time for a machine that has much to do.
func patient(_ change: (inout RequestOptions) -> Void) -> RequestOptions {
    var options = RequestOptions()
    options.timeout = .seconds(10)
    change(&options)
    return options
}

extension BusConnection {
    /// What a column of the daemon's rows adds up to.
    func total(_ column: String, of kind: InspectionKind) async throws -> UInt64 {
        var sum: UInt64 = 0
        for row in try await inspect(kind) {
            for case .number(let number) in row.filter({ $0.name == column }).map(\.value) { sum += number }
        }
        return sum
    }

    /// Requests that the daemon knows of and that aren't over.
    func openRequests() async throws -> UInt64 { try await total("requests_open", of: .sessions) }
}
