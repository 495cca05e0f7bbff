// One shard: its lock, its chains, and its nodes that are not used.

package quota

import (
	"runtime"
	"sync/atomic"
	"time"
	"unsafe"
)

func (t *Table) shard(s uint32) *shard {
	return (*shard)(unsafe.Add(t.base, t.shardsAt+uintptr(s)*shardBytes))
}

// node is the node with the index i of a shard, from 1.
func (t *Table) node(s, i uint32) *node {
	return (*node)(unsafe.Add(t.base, t.nodesAt+(uintptr(s)*uintptr(t.nodes)+uintptr(i-1))*nodeBytes))
}

// share is how much of a node's total a process holds.
func (t *Table) share(process, s, i uint32) *uint32 {
	return (*uint32)(unsafe.Add(t.base, t.sharesAt+uintptr(process)*t.column+(uintptr(s)*uintptr(t.nodes)+uintptr(i-1))*4))
}

// head is the beginning of the chain of a hash.
func (t *Table) head(s, hash uint32) *uint32 {
	return (*uint32)(unsafe.Add(t.base, t.headsAt+(uintptr(s)*uintptr(t.heads)+uintptr(hash/shardsMax&(t.heads-1)))*4))
}

// lock takes the lock of a shard. False: it could not be had within lockWaitMax.
func (t *Table) lock(s uint32) bool {
	at := &t.shard(s).lock
	if atomic.CompareAndSwapUint32(at, 0, t.process+1) {
		return true
	}
	return t.lockSlowly(at)
}

func (t *Table) lockSlowly(at *uint32) bool {
	for range spinsMax {
		if atomic.LoadUint32(at) == 0 && atomic.CompareAndSwapUint32(at, 0, t.process+1) {
			return true
		}
		runtime.Gosched()
	}
	for until := time.Now().Add(lockWaitMax); time.Now().Before(until); time.Sleep(lockPause) {
		if atomic.LoadUint32(at) == 0 && atomic.CompareAndSwapUint32(at, 0, t.process+1) {
			return true
		}
	}
	return false
}

func (t *Table) unlock(s uint32) { atomic.StoreUint32(&t.shard(s).lock, 0) }

// find is the node of a key, 0 if there is none, and what points to it. Nodes on the way that are
// not used any more are dropped. The caller holds the lock.
func (t *Table) find(s, hash uint32, k Key, now int64) (at *uint32, i uint32) {
	at = t.head(s, hash)
	for i = *at; i != 0; i = *at {
		n := t.node(s, i)
		switch {
		case n.key == k:
			return at, i
		case n.total == 0 && n.full <= now:
			*at = n.next
			t.release(s, i)
		default:
			at = &n.next
		}
	}
	return at, 0
}

// release puts a node that is in no chain into the free list.
func (t *Table) release(s, i uint32) {
	own := t.shard(s)
	*t.node(s, i) = node{next: own.free}
	own.free = i
}

// drop takes a node out of its chain. The caller holds the lock.
func (t *Table) drop(s, i uint32) {
	n := t.node(s, i)
	at := t.head(s, t.hash(n.key))
	for *at != i {
		at = &t.node(s, *at).next
	}
	*at = n.next
	t.release(s, i)
}

// alloc is a node that is in no chain, 0 if there is none. The caller holds the lock.
func (t *Table) alloc(s uint32, now int64) uint32 {
	own := t.shard(s)
	if own.free == 0 && own.used < t.nodes {
		own.used++
		return own.used
	}
	if own.free == 0 {
		t.reclaim(s, now)
	}
	i := own.free
	if i != 0 {
		own.free = t.node(s, i).next
	}
	return i
}

// reclaim looks for nodes that nobody has used since their budget was full.
func (t *Table) reclaim(s uint32, now int64) {
	own := t.shard(s)
	for range reclaimSteps {
		own.hand = own.hand%own.used + 1
		if n := t.node(s, own.hand); n.total == 0 && n.full <= now {
			t.drop(s, own.hand)
		}
	}
}
