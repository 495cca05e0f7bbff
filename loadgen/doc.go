// Package loadgen drives load against any WebSocket, Socket.IO or SSE server, and says how much of what it measured can be believed.
//
// There are only a few types. [Options] are what somebody asks for. A [Run] is the coordinator: it finds the target out, splits the
// connections over processes ([Run.Do]), has them connect, measures, waits for what is still on its way, and adds up. The clients
// themselves are package swarm, one process of them each, this program executed anew. [Progress] is what the run looks like while it goes
// on; [Result] is what came out, and holds everything that a report or a comparison needs. A [Threshold] is a bound on one figure of a result.
//
// A run is one goroutine that owns its state; the goroutines around it read what processes say, publish, and sample the server, and hand
// it what they have through channels. Only the methods of a Run that say so may be called by others.
package loadgen
