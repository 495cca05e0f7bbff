// Where things stand in the memory of a table. All processes are the same program, so the types are
// the format; a version guards against a process of another build.

package quota

import (
	"errors"
	"fmt"
	"math/bits"
	"unsafe"
)

// magic begins a table: the name and the version of the layout.
const magic = uint64('q')<<56 | uint64('t')<<48 | 1

// header is the beginning of the memory.
type header struct {
	magic     uint64
	seed      [2]uint64 // random, so that nobody can choose addresses of one chain
	shards    uint32
	nodes     uint32 // of a shard
	heads     uint32 // of a shard; a power of two
	processes uint32
	uncounted uint64 // how often Enter found no room, over all processes; atomic
}

// shard is one lock and what it guards: its nodes, its heads, and the fields below.
type shard struct {
	lock uint32   // 0, or 1 + the number of the process that holds it
	used uint32   // nodes that were ever used; those behind have never been touched
	free uint32   // the first of the list of nodes that are not used, 1 + its index; 0: none
	hand uint32   // where reclaim goes on
	_    [48]byte // a line of the cache each
}

// node is one key that holds something, or held it a moment ago.
type node struct {
	key   Key
	full  int64  // when the budget is full again, in nanoseconds since 1970
	total uint32 // what all processes hold
	next  uint32 // of its chain or of the free list, 1 + index; 0: none
}

const (
	headerBytes = 4096
	shardBytes  = unsafe.Sizeof(shard{})
	nodeBytes   = unsafe.Sizeof(node{})
	pageBytes   = 4096
)

// layout is the places of a table's parts, in bytes.
type layout struct {
	shards, nodes, heads, processes uint32

	shardsAt, headsAt, nodesAt, sharesAt uintptr

	column uintptr // bytes of one process's shares
	bytes  uintptr
}

func makeLayout(keys, processes int) (layout, error) {
	if keys < 1 || keys > KeysMax || processes < 1 || processes > ProcessesMax {
		return layout{}, fmt.Errorf("a table of %d keys for %d processes: allowed are 1 to %d, and 1 to %d", keys, processes, KeysMax, ProcessesMax)
	}
	l := layout{shards: shardsMax, processes: uint32(processes)}
	part := uint32((keys + shardsMax - 1) / shardsMax)
	l.nodes = part + part/4 + slackMin
	l.heads = 1 << bits.Len32(part)
	l.place()
	return l, nil
}

// place computes the places from the counts.
func (l *layout) place() {
	up := func(n uintptr) uintptr { return (n + pageBytes - 1) &^ (pageBytes - 1) }
	l.shardsAt = headerBytes
	l.headsAt = up(l.shardsAt + uintptr(l.shards)*shardBytes)
	l.nodesAt = up(l.headsAt + uintptr(l.shards)*uintptr(l.heads)*4)
	l.sharesAt = up(l.nodesAt + uintptr(l.shards)*uintptr(l.nodes)*nodeBytes)
	l.column = up(uintptr(l.shards) * uintptr(l.nodes) * 4)
	l.bytes = l.sharesAt + uintptr(l.processes)*l.column
}

var errLayout = errors.New("not a table of this version")

// readLayout is that of memory which another process has made.
func readLayout(h *header, size int64) (layout, error) {
	l := layout{shards: h.shards, nodes: h.nodes, heads: h.heads, processes: h.processes}
	if h.magic != magic || l.shards != shardsMax || l.nodes < slackMin || l.nodes > KeysMax || l.heads == 0 ||
		l.heads&(l.heads-1) != 0 || l.heads > KeysMax || l.processes < 1 || l.processes > ProcessesMax {
		return layout{}, errLayout
	}
	if l.place(); int64(l.bytes) != size {
		return layout{}, errLayout
	}
	return l, nil
}
