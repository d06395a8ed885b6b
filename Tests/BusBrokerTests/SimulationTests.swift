// The broker in a world of its own: see BusSimulation. A failing seed is printed with the shortest run that fails and
// the command that repeats it. `make simulate` runs many without the tests around, and optimised.
//
//   BUS_SEEDS=1000   that many seeds, counted up from BUS_SEED or from chance
//   BUS_SEED=42      that seed
//   BUS_STEPS=5000   longer runs

import BusSimulation
import Foundation
import Testing

@Suite struct SimulationTests {
    private static func setting(_ name: String) -> UInt64? {
        ProcessInfo.processInfo.environment[name].flatMap { UInt64($0) }
    }

    private static var steps: Int { setting("BUS_STEPS").map(Int.init) ?? 1500 }

    /// Twenty that never change, and three by chance, or those that the environment names.
    private static var seeds: [UInt64] {
        if let seed = setting("BUS_SEED") {
            return (0..<(setting("BUS_SEEDS") ?? 1)).map { seed &+ $0 }
        }
        let first = UInt64.random(in: 0...UInt64(UInt32.max))
        return Array(1...20) + (0..<(setting("BUS_SEEDS") ?? 3)).map { first + $0 }
    }

    @Test func keepsItsPromisesWhateverHappens() { run(.live, SimulationTests.seeds) }

    @Test func keepsItsPromisesWhenTheDaemonDies() { run(.durable, SimulationTests.seeds) }

    private func run(_ kind: SimulationKind, _ seeds: [UInt64]) {
        print("\(kind) seeds \(seeds.prefix(20)) and up to \(seeds.last ?? 0)")
        var tally = SimulationTally()
        for seed in seeds {
            let simulation = Simulation(kind, seed: seed, steps: SimulationTests.steps)
            do throws(SimulationFailure) {
                tally += try simulation.run()
            } catch {
                Issue.record("\(simulation.shortest(error))")
                return
            }
        }
        print("\(tally)")
    }
}
