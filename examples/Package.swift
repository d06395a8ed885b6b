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

let client = Target.Dependency.product(name: "BusClient", package: "bus")

let package = Package(
    name: "examples",
    dependencies: [.package(name: "bus", path: "..")],
    targets: [
        .executableTarget(name: "HostMetrics", dependencies: [client], swiftSettings: settings),
        .executableTarget(name: "LogShipper", dependencies: [client], swiftSettings: settings),
    ]
)
