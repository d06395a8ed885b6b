// A worker of a group: of all the workers of a name each job goes to one, and the jobs of one that dies go to others.
//
//   WorkerGroup NAME [SECONDS-A-JOB]
//
// Give them work with   seq 100 | bus pub jobs.count --lines   and watch with   bus sub 'done.>'

import BusClient

@main
struct WorkerGroup {
    static func main() async throws {
        let arguments = CommandLine.arguments.dropFirst()
        let name = arguments.first ?? "worker"
        let effort = Duration.seconds(arguments.dropFirst().first.flatMap { Double($0) } ?? 0.1)

        try await BusConnection.with(ConnectOptions(name: name)) { bus in
            var options = SubscribeOptions()
            options.group = "workers"
            // So many jobs at most wait here for their turn; the others are still free to go to somebody else.
            options.creditEvents = 4
            for try await arrival in try await bus.subscribe("jobs.>", options) {
                switch arrival {
                case .event(let job):
                    try await Task.sleep(for: effort)
                    let result = OutgoingEvent("\(name) did \(job.text)")
                    try await bus.publish(result, to: "done.\(name)")
                // Asking for the next one says that this one is handled. A worker that dies before has not said
                // so, and another gets the job, as attempt 2: work that may not be done twice looks at the id.
                case .missed(let missed):
                    print("\(name): \(missed.count.map(String.init) ?? "some") jobs were dropped: \(missed.reason)")
                case .caughtUp:
                    break
                }
            }
        }
    }
}
