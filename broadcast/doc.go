// Package broadcast says which members get which bytes: topics, members, fan-out, and what happens
// to the slow. It knows members by number, and neither sockets nor protocols.
//
// There are only a few types:
//
//   - A [Hub] is all topics of a process. Any goroutine publishes to it.
//   - A [Shard] is the hub's part in one event loop: the loop's members and their topics. Only that
//     loop touches it, so it has no lock.
//   - A [Message] is what was published. It is immutable, and encoded once for each wire form
//     ([Form]) that has a member; everybody is sent the same bytes.
//   - A [Sink] is where a shard's members are: it is told what to queue for whom.
//
// Inside there are three more. A topic is a list of messages that only grows at its end; publishing
// is one compare-and-swap (topic.go has the argument). A roster is a topic in one shard: a cursor
// into that list and a dense array of seats, 8 bytes a member. A pass is one walk over the seats
// with all messages that were pending when it began, put together so that each member gets one
// send.
//
// # One message through the files
//
//  1. hub.go: [Hub.Publish] looks the topic up, makes the message in the forms in need
//     (message.go), and appends it to the topic's list (topic.go).
//  2. ready.go: it puts the roster of each shard that has members into the queue of that shard, and
//     wakes the loop.
//  3. deliver.go: in phase 6 of the loop's turn [Shard.Deliver] takes rosters from the queue,
//     begins a pass for each (pass.go), and walks a bounded number of seats; a pass that is not
//     through goes to the end of the queue.
//  4. policy.go: a member whose outbox has no room is closed, or misses something and is told how
//     much.
//  5. hub.go: the last shard whose pass has ended settles the message: [Options.Done] is called.
//
// # What is promised
//
//   - All members of a topic get its messages in one order.
//   - A member gets every message whose Publish began after its Subscribe had returned, and none
//     whose Publish had returned before its Subscribe began, however far the delivery of older ones
//     has come.
//   - What a slow member misses is counted ([Hub.Counters]) and, in forms that have a word for it,
//     announced: nothing is dropped in silence.
//   - Deliver is bounded: by members, by one pass for each topic, and by the bytes of a run.
//   - A topic without members costs nothing, also when messages are published to it.
//
// # Positions
//
// The owner of a topic may want positions ([Options.Positions]). Its messages then enter the
// topic's list before they are encoded: the number in the list is the message's [Position], and an
// [Encoder] can put it in. They are encoded at the first delivery; until then an upper bound is
// counted as pending. Such a topic stays without members, so that the numbers go on, until the
// owner calls [Hub.Release]. See position.go.
//
// # History
//
// The newest messages of a topic with positions can be kept ([Options.Keep]), in a log beside the
// list (log.go): a ring in which a position is found by arithmetic. A member that was away comes
// back by [Shard.Resume] (resume.go): its seat is left out by passes until Deliver has sent it, in
// slices, what its seat would have had. Both happen on one loop, so there is neither a gap nor a
// double between the kept messages and the new ones.
//
// # Invariants
//
//   - A message is waited for by exactly the shards that were attached to its topic when it was
//     appended.
//   - A shard is attached to a topic while it has members of it, and until it has passed over the
//     messages that came while it had; the topic is in the registry while a shard is attached or
//     the topic is kept.
//   - A seat and its subscription point at each other. A member's first subscription has its own
//     number.
//   - A roster is in the ready queue at most once, and is in it or being served whenever it has
//     messages that are linked and marked.
//   - Seats never change sides of where a pass stands, nor of a cut between those who joined before
//     and after a message that is still pending.
//   - A seat has the lagging bit exactly if the shard has a count of what its member missed, and
//     the replaying bit exactly if the shard has a replay of it.
//
// Build with -tags c100kdebug to have them checked while the program runs.
//
// # Not here yet, and where it would go
//
// Presence: Subscribe, and vacate for every way out, are the two places where a membership begins
// and ends.
package broadcast
