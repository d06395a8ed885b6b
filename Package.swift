// swift-tools-version: 6.2
// The house: one target a room, arrows as in docs/ARCHITECTURE.md.

import PackageDescription

/// Every room is compiled alike. Each upcoming feature carries its reason.
let settings: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    // An existential costs an allocation and a dynamic call: it must be seen in the source.
    .enableUpcomingFeature("ExistentialAny"),
    // What a room imports stays its own business unless it says `public import`.
    .enableUpcomingFeature("InternalImportsByDefault"),
    // A file uses only the modules it imports itself, so the list at its top is true.
    .enableUpcomingFeature("MemberImportVisibility"),
    // An async function stays on its caller's executor: no hidden change of thread (8 to 40 µs each).
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    .treatAllWarnings(as: .error),
]

let crypto = Target.Dependency.product(name: "Crypto", package: "swift-crypto")
let collections = Target.Dependency.product(name: "DequeModule", package: "swift-collections")
let heaps = Target.Dependency.product(name: "HeapModule", package: "swift-collections")
let ordered = Target.Dependency.product(name: "OrderedCollections", package: "swift-collections")
let system = Target.Dependency.product(name: "SystemPackage", package: "swift-system")
let arguments = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")
let logging = Target.Dependency.product(name: "Logging", package: "swift-log")
let grdb = Target.Dependency.product(name: "GRDB", package: "GRDB.swift")
let sqlite = Target.Dependency.product(name: "GRDBSQLite", package: "GRDB.swift")
let yams = Target.Dependency.product(name: "Yams", package: "Yams")

func room(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
    .target(name: name, dependencies: dependencies, swiftSettings: settings)
}

func tests(
    _ name: String, _ dependencies: [Target.Dependency], exclude: [String] = [], resources: [Resource]? = nil
) -> Target {
    .testTarget(
        name: name, dependencies: dependencies, exclude: exclude, resources: resources, swiftSettings: settings)
}

let package = Package(
    name: "bus",
    products: [
        .library(name: "BusClient", targets: ["BusClient"]),
        .library(name: "BusTestKit", targets: ["BusTestKit"]),
        .executable(name: "busd", targets: ["BusDaemon"]),
        .executable(name: "bus", targets: ["BusCLI"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-crypto", from: "4.0.0"),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),
        .package(url: "https://github.com/apple/swift-system", from: "1.8.0"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.0"),
    ],
    targets: [
        // Doors to C.
        .target(name: "CLinux"),
        .systemLibrary(name: "CLibUUID", pkgConfig: "uuid", providers: [.apt(["uuid-dev"])]),

        // Pure rooms: no socket, file, clock, task or lock.
        room("BusWire", ["CLibUUID"]),
        room("BusCrypto", [crypto]),
        room("BusBroker", ["BusWire", collections, heaps, ordered]),

        // Rooms that touch the system.
        room("BusStore", ["BusWire", "CLinux", grdb, sqlite, crypto]),
        room("BusTransport", ["BusWire", "CLinux", system]),
        room(
            "BusServer",
            ["BusWire", "BusCrypto", "BusBroker", "BusStore", "BusTransport", "CLinux", system, logging, yams]),
        room("BusClient", ["BusWire", "BusCrypto", "BusTransport", collections]),

        // Programs and test support.
        .executableTarget(
            name: "BusDaemon", dependencies: ["BusServer", "BusTransport", "CLinux", system, arguments, logging],
            swiftSettings: settings),
        .executableTarget(
            name: "BusCLI", dependencies: ["BusClient", "BusWire", "BusTransport", "CLinux", system, arguments],
            swiftSettings: settings),
        room("BusSimulation", ["BusBroker", "BusWire"]),
        .executableTarget(name: "BusSimulator", dependencies: ["BusSimulation"], swiftSettings: settings),
        room("BusTestKit", ["BusServer", "BusClient", "BusTransport", logging]),

        tests("BusWireTests", ["BusWire"], exclude: ["Golden"]),
        tests("BusCryptoTests", ["BusCrypto", crypto], resources: [.copy("Vectors")]),
        tests(
            "BusBrokerTests", ["BusBroker", "BusWire", "BusSimulation", collections, heaps, ordered],
            exclude: ["Transcripts"]),
        tests("BusStoreTests", ["BusStore", "BusWire", grdb]),
        tests("BusTransportTests", ["BusTransport", "BusWire", "CLinux", system]),
        .target(
            name: "BusTesting",
            dependencies: [
                "BusTestKit", "BusServer", "BusClient", "BusWire", "BusTransport", "BusCrypto", "CLinux", system,
                logging,
            ],
            path: "Tests/BusTesting", swiftSettings: settings),
        tests(
            "BusServerTests",
            [
                "BusTesting", "BusServer", "BusClient", "BusBroker", "BusStore", "BusWire", "BusTransport", "BusCrypto",
                "CLinux", logging,
            ]),
        tests(
            "BusClientTests",
            ["BusTesting", "BusServer", "BusClient", "BusWire", "BusCrypto", "BusTransport", "CLinux", system]),
    ]
)
