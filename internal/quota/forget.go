// What a process held ends with it.

package quota

import (
	"fmt"
	"io"
	"runtime"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Forget gives back all that a process held which has ended, and frees its locks. The process that
// made the table calls it, before another one with that number opens it. Of several that have
// ended, each is forgotten on a goroutine of its own: one may hold a lock that another's end has to
// wait for.
func (t *Table) Forget(process int) error {
	defer runtime.KeepAlive(t)
	if process < 0 || process >= int(t.processes) || t.file == nil {
		return fmt.Errorf("forget process %d of %d", process, t.processes)
	}
	p := uint32(process)
	for s := range t.shards {
		// It was killed within one of the functions that hold the lock, perhaps half-way.
		if atomic.CompareAndSwapUint32(&t.shard(s).lock, p+1, t.process+1) {
			t.rebuild(s, p)
			t.unlock(s)
		}
	}
	if err := t.forgetShares(p); err != nil {
		return err
	}
	// The column takes no memory until the next process writes to it.
	err := unix.Fallocate(int(t.file.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE,
		int64(t.sharesAt+uintptr(p)*t.column), int64(t.column))
	if err != nil {
		return fmt.Errorf("forget process %d: %w", process, err)
	}
	return nil
}

// forgetShares takes the shares of a process out of the totals. They are read by the system, not
// in memory: to look at a page that was never written would make one.
func (t *Table) forgetShares(p uint32) error {
	buf := make([]byte, forgetBytes)
	at, end := int64(t.sharesAt+uintptr(p)*t.column), int64(t.sharesAt+uintptr(p+1)*t.column)
	first := at
	for at < end {
		at = t.skipHole(at, end)
		n, err := t.file.ReadAt(buf[:min(end-at, forgetBytes)], at)
		if err != nil && err != io.EOF {
			return fmt.Errorf("read the shares of process %d: %w", p, err)
		}
		if n == 0 {
			return nil
		}
		shares := unsafe.Slice((*uint32)(unsafe.Pointer(unsafe.SliceData(buf))), n/4)
		for j, held := range shares {
			if held != 0 {
				if !t.giveBack(p, uint32((at-first)/4)+uint32(j)) {
					return fmt.Errorf("forget process %d: a lock stayed taken", p)
				}
			}
		}
		at += int64(n)
	}
	return nil
}

// skipHole is the next byte that was written, or end.
func (t *Table) skipHole(at, end int64) int64 {
	data, err := unix.Seek(int(t.file.Fd()), at, unix.SEEK_DATA)
	if err != nil || data > end { // ENXIO: nothing follows
		return end
	}
	return data &^ 3
}

// giveBack takes one share of a process out of a node's total; index is that of the node among all.
// False: the lock stayed taken.
func (t *Table) giveBack(p, index uint32) bool {
	s, i := index/t.nodes, index%t.nodes+1
	if s >= t.shards {
		return true // the padding of the column
	}
	for tries := 1; !t.lock(s); tries++ {
		if tries == forgetTries {
			return false
		}
	}
	defer t.unlock(s)
	n, held := t.node(s, i), t.share(p, s, i)
	n.total -= min(*held, n.total)
	*held = 0
	if n.total == 0 && n.full == 0 {
		t.drop(s, i)
	}
	return true
}

// rebuild makes a shard anew from the shares of all processes but p, whose own become 0. The caller
// holds the lock.
func (t *Table) rebuild(s, p uint32) {
	own := t.shard(s)
	own.used = min(own.used, t.nodes)
	own.free, own.hand = 0, 0
	for h := range t.heads {
		*t.head(s, h*shardsMax) = 0
	}
	for i := uint32(1); i <= own.used; i++ {
		n := t.node(s, i)
		*t.share(p, s, i) = 0
		n.total = 0
		for q := range t.processes {
			n.total += *t.share(q, s, i)
		}
		// A node that only the dead process has used may have half a key. Budgets of keys that hold
		// nothing are forgotten with it.
		if n.total == 0 {
			t.release(s, i)
			continue
		}
		at := t.head(s, t.hash(n.key))
		n.next = *at
		*at = i
	}
}
