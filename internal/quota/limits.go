// The bounds of the package, each with its unit and its reason.

package quota

import "time"

const (
	// shardsMax is how many locks there are. Two processes of a busy node rarely want the same one
	// of so many; more would cost a page each in every process's column.
	shardsMax = 64

	// slackMin is how many nodes a shard has beyond its part of the keys and a quarter of that: the
	// hash does not fill all shards equally.
	slackMin = 64

	// KeysMax bounds the keys of a table: a node's number has room in 32 bits, below the tags that
	// package edge has for other purposes.
	KeysMax = 1 << 26

	// ProcessesMax bounds the processes: a lock has a byte for its holder.
	ProcessesMax = 250

	// spinsMax is how often a lock is tried before its waiter sleeps: about 10 µs.
	spinsMax = 200

	// lockPause is the time between two tries after that.
	lockPause = 100 * time.Microsecond

	// lockWaitMax is how long a lock is waited for. A process that was killed with a lock keeps it
	// until Forget, some milliseconds later; beyond that nobody watches over the processes.
	lockWaitMax = 200 * time.Millisecond

	// reclaimSteps bounds how many nodes are looked at to find one that is not used any more.
	reclaimSteps = 64

	// forgetTries bounds how often Forget waits for one lock, each time for lockWaitMax: the process
	// that holds it may have been killed too, and is forgotten at the same time.
	forgetTries = 50

	// forgetBytes is how much of a process's column is read at one time, in bytes.
	forgetBytes = 64 << 10
)
