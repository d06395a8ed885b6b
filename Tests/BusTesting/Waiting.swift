// Waiting for conditions with a deadline.

import Synchronization
package import Testing

/// Waits until `condition` holds; a test that waits for twenty seconds has failed.
package func eventually(
    _ what: String = "the condition", location: SourceLocation = #_sourceLocation,
    _ condition: () async throws -> Bool
) async rethrows {
    let limit = ContinuousClock.now + .seconds(20)
    while try await !condition() {
        guard ContinuousClock.now < limit else {
            Issue.record("\(what) never held", sourceLocation: location)
            return
        }
        try? await Task.sleep(for: .milliseconds(2))
    }
}

/// Runs `body`, and cancels it and records an issue when it takes longer than twenty seconds.
package func withinBounds<R: Sendable>(
    _ what: String = "it", location: SourceLocation = #_sourceLocation, _ body: @escaping @Sendable () async throws -> R
) async throws -> R {
    let work = Task { try await body() }
    let watch = Task {
        try await Task.sleep(for: .seconds(20))
        Issue.record("\(what) didn't end", sourceLocation: location)
        work.cancel()
    }
    defer { watch.cancel() }
    return try await work.value
}

/// A value that several threads note things in.
package final class Noted<Value: Sendable>: Sendable {
    private let state: Mutex<Value>

    package init(_ value: Value) { state = Mutex(value) }

    package var value: Value { state.withLock { $0 } }

    package func change<R: Sendable>(_ body: (inout Value) -> R) -> R { state.withLock { body(&$0) } }
}
