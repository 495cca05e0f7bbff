// Package quota counts what belongs to an address or a user, over all processes of a node.
//
// There are only a few types. A [Table] is memory that all processes map: it has a node for each
// [Key] that holds something, with how much that is in all, and how much of it each process holds.
// [Table.Enter] takes one more for a key, if its [Limit] allows it, and [Table.Leave] gives it
// back. A key's node also has a budget of events a second, so that a limit on rates needs no second
// look-up.
//
// Limits are exact: each node is read and changed under the lock of its shard, which any process
// may hold, for about 50 ns. What a process held ends with it, also where it was killed while it
// held a lock: the process that watches over the others calls [Table.Forget]. It takes the dead
// process's locks over, and the parts of the other processes tell what is true.
//
//	shard      lock, free list, heads of chains by the hash of the key
//	 └ node    key, total, budget, next of its chain
//	shares     a column for each process: how much of each node's total is its own
//
// Invariant: when no lock is held, a node's total is the sum of its shares.
//
// All methods may be called on any goroutine. A lock is waited for, spinning first, and given up
// after lockWaitMax: then Enter counts nothing and allows, for a limit must not end a node.
package quota
