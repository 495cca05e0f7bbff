// Package loadgen drives load against any WebSocket, Socket.IO or SSE server, and says how much of
// what it measured can be believed.
//
// There are only a few types. [Options] are what somebody asks for. A [Run] is the coordinator: it
// finds out what the target speaks, splits the connections over processes ([Run.Do]), tells them to
// connect, measures, waits for messages still in flight, and adds up the results. The clients are
// in package swarm. Each process runs this program again. [Progress] is what the run looks like
// while it goes on; [Result] is what came out, and holds everything that a report or a comparison
// needs. A [Threshold] is a bound on one figure of a result.
//
// A run is one goroutine that owns its state; the goroutines around it read what processes say,
// publish, and sample the server, and hand it what they have through channels. Only the methods of
// a Run that say so may be called by others.
//
// # A run through the files
//
// The process that was started is the coordinator. It runs this program again (c100k load process)
// as often as the limit on open files asks for, at least once, so that the terminal and the
// arithmetic are not part of what is measured.
//
//  1. options.go refuses contradictory options; probe.go makes one connection to learn what the
//     target speaks; plan.go makes a swarm.Spec for each process.
//  2. process.go starts them. A process reads its spec and then orders (begin, rate, drop, settle,
//     end) as lines of JSON from its standard input, and writes a swarm.Sample a second. It ends
//     when its input does, so none outlives the coordinator.
//  3. phases.go is the run: ramp, measure, settle, end. Run.await is the only place that waits; it
//     has a bound in every phase.
//  4. publisher.go is the only traffic of the coordinator itself: an open schedule, and a lane for
//     each topic, which keeps its order.
//  5. tally.go, spread.go and series.go add up; watch.go and tree.go sample the server's processes.
//  6. finish.go makes the Result, verdict.go judges it; packages report and view only read it.
package loadgen
