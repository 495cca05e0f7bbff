// The table: what a key holds, and whether it may hold one more.

package quota

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"math/bits"
	"os"
	"runtime"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Key names who holds something. Its values are the caller's; two kinds of owners must differ in
// Lo.
type Key struct{ Hi, Lo uint64 }

// Limit is what a key may hold, and how fast it may take it. The zero value limits nothing.
type Limit struct {
	Max int // at one time; 0: no limit

	// One event's token comes back every Period, and those of Window fit in beside it; 0: no limit.
	Period, Window time.Duration
}

// Outcome is what Enter has decided.
type Outcome uint8

// The outcomes.
const (
	Entered Outcome = iota
	TooMany         // beyond Limit.Max
	TooFast         // beyond Limit.Period and Window
)

// Table is the memory that the processes share. Any goroutine.
type Table struct {
	layout
	process uint32
	memory  []byte
	file    *os.File // nil for a table of one process

	header *header
	base   unsafe.Pointer
}

// New makes a table for one process. keys is how many may hold something at one time.
func New(keys int) (*Table, error) {
	l, err := makeLayout(keys, 1)
	if err != nil {
		return nil, err
	}
	memory, err := unix.Mmap(-1, 0, int(l.bytes), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_NORESERVE)
	if err != nil {
		return nil, os.NewSyscallError("mmap", err)
	}
	t := newTable(l, 0, memory, nil)
	t.begin()
	return t, nil
}

// NewShared makes a table that the processes with the numbers 0 to processes-1 may open, and that
// the caller watches over.
func NewShared(keys, processes int) (*Table, error) {
	l, err := makeLayout(keys, processes)
	if err != nil {
		return nil, err
	}
	fd, err := unix.MemfdCreate("c100k-quota", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("memfd_create", err)
	}
	file := os.NewFile(uintptr(fd), "quota")
	if err := file.Truncate(int64(l.bytes)); err != nil {
		_ = file.Close()
		return nil, err
	}
	t, err := mapShared(l, ProcessesMax, file)
	if err != nil {
		_ = file.Close()
		return nil, err
	}
	t.begin()
	return t, nil
}

// Open is the table of a process whose parent has made it. The file is the table's from then on,
// also with an error.
func Open(file *os.File, process int) (*Table, error) {
	t, err := open(file, process)
	if err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("open the table of limits: %w", err)
	}
	return t, nil
}

func open(file *os.File, process int) (*Table, error) {
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	var h header
	if _, err := file.ReadAt(unsafe.Slice((*byte)(unsafe.Pointer(&h)), unsafe.Sizeof(h)), 0); err != nil {
		return nil, err
	}
	l, err := readLayout(&h, info.Size())
	if err != nil {
		return nil, err
	}
	if process < 0 || process >= int(l.processes) {
		return nil, fmt.Errorf("process %d of %d", process, l.processes)
	}
	return mapShared(l, uint32(process), file)
}

func mapShared(l layout, process uint32, file *os.File) (*Table, error) {
	memory, err := unix.Mmap(int(file.Fd()), 0, int(l.bytes), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, os.NewSyscallError("mmap", err)
	}
	return newTable(l, process, memory, file), nil
}

// newTable wraps memory, which is unmapped when nothing refers to the table any more.
func newTable(l layout, process uint32, memory []byte, file *os.File) *Table {
	t := &Table{layout: l, process: process, memory: memory, file: file,
		header: (*header)(unsafe.Pointer(unsafe.SliceData(memory))), base: unsafe.Pointer(unsafe.SliceData(memory))}
	runtime.AddCleanup(t, func(memory []byte) { _ = unix.Munmap(memory) }, memory)
	return t
}

// begin writes the header.
func (t *Table) begin() {
	var seed [16]byte
	_, _ = rand.Read(seed[:]) // it never fails
	*t.header = header{magic: magic, shards: t.shards, nodes: t.nodes, heads: t.heads, processes: t.processes,
		seed: [2]uint64{binary.LittleEndian.Uint64(seed[:]), binary.LittleEndian.Uint64(seed[8:])}}
}

// File is what another process opens, nil for a table of one process.
func (t *Table) File() *os.File { return t.file }

// Enter takes one more for a key. now is the time of day. With Entered, tag names the key's node
// until Leave; all tags of a key are the same while it holds anything. Tag 0 is an entry that was
// not counted, because there was no room: nobody is refused for that.
func (t *Table) Enter(k Key, limit Limit, now time.Time) (tag uint32, o Outcome) {
	defer runtime.KeepAlive(t)
	h := t.hash(k)
	s := h % t.shards
	if !t.lock(s) {
		atomic.AddUint64(&t.header.uncounted, 1)
		return 0, Entered
	}
	defer t.unlock(s)
	_, i := t.find(s, h, k, now.UnixNano())
	if i == 0 {
		if i = t.alloc(s, now.UnixNano()); i == 0 {
			atomic.AddUint64(&t.header.uncounted, 1)
			return 0, Entered
		}
		at := t.head(s, h) // alloc may have changed the chain
		n := t.node(s, i)
		*n = node{key: k, next: *at}
		*at = i
	}
	n := t.node(s, i)
	if o = n.enter(limit, now.UnixNano()); o != Entered {
		return 0, o
	}
	*t.share(t.process, s, i)++
	return s*t.nodes + i, Entered
}

// enter judges one more, and counts it.
func (n *node) enter(limit Limit, now int64) Outcome {
	full := n.full
	if limit.Period > 0 {
		full = max(full, now)
		if full > now+int64(limit.Window)+int64(limit.Period) {
			full = now // the time of day was set back
		}
		if full-now > int64(limit.Window) {
			return TooFast
		}
		full += int64(limit.Period)
	}
	n.full = full // also of what is refused below: it was an attempt
	if limit.Max > 0 && n.total >= uint32(limit.Max) {
		return TooMany
	}
	n.total++
	return Entered
}

// Leave gives back what Enter has given; for tag 0 it does nothing.
func (t *Table) Leave(tag uint32) {
	if tag == 0 {
		return
	}
	if !t.leave(tag) {
		go func() { // the lock's holder was killed, and Forget has not come yet
			for !t.leave(tag) {
			}
		}()
	}
}

func (t *Table) leave(tag uint32) bool {
	defer runtime.KeepAlive(t)
	s, i := (tag-1)/t.nodes, (tag-1)%t.nodes+1
	if !t.lock(s) {
		return false
	}
	defer t.unlock(s)
	n := t.node(s, i)
	*t.share(t.process, s, i)--
	// A node whose budget is not full is still needed. The next one who comes along its chain drops
	// it when it is.
	if n.total--; n.total == 0 && n.full == 0 {
		t.drop(s, i)
	}
	return true
}

// LeaveKey is Leave for who knows the key and not the tag. It does nothing if this process holds
// nothing for the key.
func (t *Table) LeaveKey(k Key) {
	if tag := t.tagOf(k); tag != 0 {
		t.Leave(tag)
	}
}

// tagOf is the tag of a key for which this process holds something, else 0.
func (t *Table) tagOf(k Key) uint32 {
	defer runtime.KeepAlive(t)
	h := t.hash(k)
	s := h % t.shards
	if !t.lock(s) {
		return 0
	}
	defer t.unlock(s)
	for i := *t.head(s, h); i != 0; i = t.node(s, i).next {
		if t.node(s, i).key == k && *t.share(t.process, s, i) > 0 {
			return s*t.nodes + i
		}
	}
	return 0
}

// Key is the key of a tag, which must be one that Enter has given and Leave has not taken back.
func (t *Table) Key(tag uint32) Key {
	defer runtime.KeepAlive(t)
	return t.node((tag-1)/t.nodes, (tag-1)%t.nodes+1).key
}

// Uncounted is how many entries were not counted because there was no room, or a lock stayed
// taken.
func (t *Table) Uncounted() uint64 {
	defer runtime.KeepAlive(t)
	return atomic.LoadUint64(&t.header.uncounted)
}

// Held is how many keys hold something. It takes each lock once.
func (t *Table) Held() (keys int) {
	defer runtime.KeepAlive(t)
	for s := range t.shards {
		if !t.lock(s) {
			continue
		}
		for i := uint32(1); i <= t.shard(s).used; i++ {
			if t.node(s, i).total > 0 {
				keys++
			}
		}
		t.unlock(s)
	}
	return keys
}

// hash mixes a key with the seed: its lower bits choose the shard, its upper ones the chain.
func (t *Table) hash(k Key) uint32 {
	hi, lo := bits.Mul64(k.Hi^t.header.seed[0], k.Lo^t.header.seed[1])
	hi, lo = bits.Mul64(hi^lo^t.header.seed[1], 0x9e3779b97f4a7c15^k.Lo)
	x := hi ^ lo
	return uint32(x) ^ uint32(x>>32)
}
