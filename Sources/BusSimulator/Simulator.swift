// `make simulate`: as many seeded worlds as asked for, on all cores, without building anything they don't need.
//
//   BusSimulator KIND=durable SEEDS=1000 SEED=1 STEPS=1500
//
// Without KIND both kinds of worlds are run, without SEED seeds count up from chance. Every seed that fails is named; of the first, the shortest way there is
// shown and the command that goes it again.

import BusSimulation
import Glibc

@main
struct Simulator {
    /// What of the simulation's findings is told in the end.
    private struct Findings {
        var tally = SimulationTally()
        var failures: [SimulationFailure] = []
    }

    static func main() async {
        var arguments = CommandLine.arguments.dropFirst().filter { $0 != "KIND=" }
        let named = arguments.firstIndex { $0.hasPrefix("KIND=") }.map { arguments.remove(at: $0).dropFirst(5) }
        let kinds = SimulationKind.allCases.filter { named == nil || $0.rawValue == named ?? "" }
        guard !kinds.isEmpty, let settings = settings(arguments[...]) else {
            print("usage: BusSimulator [KIND=live|durable] [SEEDS=N] [SEED=N] [STEPS=N]")
            exit(64)
        }
        let count = settings["SEEDS"] ?? (settings["SEED"] == nil ? 1000 : 1)
        let first = settings["SEED"] ?? UInt64.random(in: 1...UInt64(UInt32.max))
        let steps = Int(clamping: settings["STEPS"] ?? 1500)
        var isClean = true
        for kind in kinds {
            print("\(kind): \(count) seeds from \(first), \(steps) steps each")
            let findings = await run(kind, (0..<count).map { first &+ $0 }, steps)
            print("\(findings.tally)")
            guard let first = findings.failures.min(by: { $0.seed < $1.seed }) else { continue }
            print(Simulation(kind, seed: first.seed, steps: steps).shortest(first))
            print("\(kind): \(findings.failures.count) of \(count) seeds failed")
            isClean = false
        }
        exit(isClean ? 0 : 1)
    }

    private static func run(_ kind: SimulationKind, _ seeds: [UInt64], _ steps: Int) async -> Findings {
        await withTaskGroup(of: Result<SimulationTally, SimulationFailure>.self) { group in
            for seed in seeds {
                group.addTask {
                    Result { () throws(SimulationFailure) in try Simulation(kind, seed: seed, steps: steps).run() }
                }
            }
            var findings = Findings()
            for await result in group {
                switch result {
                case .success(let tally): findings.tally += tally
                case .failure(let failure):
                    print("\(kind) seed \(failure.seed), step \(failure.step): \(failure.message)")
                    findings.failures.append(failure)
                }
            }
            return findings
        }
    }

    /// `NAME=NUMBER` each; one without a number counts as not given, as make hands over what nobody set. Nil for
    /// anything else.
    private static func settings(_ arguments: ArraySlice<String>) -> [String: UInt64]? {
        var settings: [String: UInt64] = [:]
        for argument in arguments {
            let parts = argument.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.count == 2, ["SEEDS", "SEED", "STEPS"].contains(parts[0]) else { return nil }
            guard !parts[1].isEmpty else { continue }
            guard let number = UInt64(parts[1]) else { return nil }
            settings[String(parts[0])] = number
        }
        return settings
    }
}
