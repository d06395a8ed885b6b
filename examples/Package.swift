// swift-tools-version: 6.2
// Programs to copy from, built as users of the library would build theirs.

import PackageDescription

/// As strict as the library itself.
let settings: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    .treatAllWarnings(as: .error),
]

func program(_ name: String) -> Target {
    .executableTarget(
        name: name, dependencies: [.product(name: "BusClient", package: "bus")], swiftSettings: settings)
}

let package = Package(
    name: "examples",
    dependencies: [.package(name: "bus", path: "..")],
    targets: [
        program("ConfigWatcher"),
        program("HostMetrics"),
        program("LogShipper"),
        program("OrderFlow"),
        program("PresenceBoard"),
        program("WorkerGroup"),
        // A program's own test; BusTestKit is the bus in its process.
        .testTarget(
            name: "OrderFlowTests",
            dependencies: [
                "OrderFlow", .product(name: "BusClient", package: "bus"), .product(name: "BusTestKit", package: "bus"),
            ],
            swiftSettings: settings),
    ]
)
