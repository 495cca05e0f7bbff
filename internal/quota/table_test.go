// Limits that are exact over several processes, and what a process leaves behind.

package quota

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

// childVariable makes the test binary a process that enters and leaves until it is killed.
const childVariable = "C100K_QUOTA_CHILD"

func TestMain(m *testing.M) {
	if number := os.Getenv(childVariable); number != "" {
		child(number)
	}
	goleak.VerifyTestMain(m)
}

var noon = time.Unix(1796000000, 0)

// open makes a table for some processes, and opens it for each.
func openAll(t testing.TB, keys, processes int) (parent *Table, all []*Table) {
	t.Helper()
	parent, err := NewShared(keys, processes)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { parent.File().Close() })
	for i := range processes {
		fd, err := unix.FcntlInt(parent.File().Fd(), unix.F_DUPFD_CLOEXEC, 3)
		if err != nil {
			t.Fatal(err)
		}
		one, err := Open(os.NewFile(uintptr(fd), "quota"), i)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { one.File().Close() })
		all = append(all, one)
	}
	return parent, all
}

// check holds the invariant against the memory: totals are sums, each node that holds anything is
// in the chain of its key once, and all others are in the free list or were never used.
func check(t *testing.T, table *Table) {
	t.Helper()
	for s := range table.shards {
		if got := table.shard(s).lock; got != 0 {
			t.Fatalf("shard %d is locked by %d", s, got)
		}
		seen := map[uint32]string{}
		note := func(i uint32, where string) {
			if i > table.shard(s).used || seen[i] != "" {
				t.Fatalf("shard %d: node %d is in %s and in %q", s, i, where, seen[i])
			}
			seen[i] = where
		}
		for h := range table.heads {
			for i := *table.head(s, h*shardsMax); i != 0; i = table.node(s, i).next {
				note(i, "a chain")
				if table.hash(table.node(s, i).key)%table.shards != s {
					t.Fatalf("shard %d: a key of another shard", s)
				}
			}
		}
		for i := table.shard(s).free; i != 0; i = table.node(s, i).next {
			note(i, "the free list")
		}
		for i := uint32(1); i <= table.shard(s).used; i++ {
			sum := uint32(0)
			for p := range table.processes {
				sum += *table.share(p, s, i)
			}
			if n := table.node(s, i); n.total != sum || sum > 0 && seen[i] != "a chain" || seen[i] == "" {
				t.Fatalf("shard %d, node %d: total %d, shares %d, in %q", s, i, n.total, sum, seen[i])
			}
		}
	}
}

func TestLimitHoldsOverProcesses(t *testing.T) {
	parent, all := openAll(t, 1000, 7)
	k, limit := Key{1, 2}, Limit{Max: 10}
	var tags []uint32
	for i := range 10 {
		tag, o := all[i%7].Enter(k, limit, noon)
		if o != Entered || tag == 0 || i > 0 && tag != tags[0] || parent.Key(tag) != k {
			t.Fatalf("entry %d: tag %d, outcome %d", i, tag, o)
		}
		tags = append(tags, tag)
	}
	for _, table := range all {
		if tag, o := table.Enter(k, limit, noon); o != TooMany || tag != 0 {
			t.Errorf("process %d: tag %d, outcome %d", table.process, tag, o)
		}
		if tag, o := table.Enter(Key{1, 3}, limit, noon); o != Entered {
			t.Errorf("another key: outcome %d", o)
		} else {
			table.Leave(tag)
		}
	}
	all[0].Leave(tags[0])
	if _, o := all[6].Enter(k, limit, noon); o != Entered {
		t.Errorf("a place was given back: outcome %d", o)
	}
	check(t, parent)
	if err := parent.Forget(6); err != nil { // it holds the entry above
		t.Error(err)
	}
	check(t, parent)
	if got := parent.Held(); got != 1 {
		t.Errorf("%d keys hold something", got)
	}
}

func TestRate(t *testing.T) {
	table, err := New(10)
	if err != nil {
		t.Fatal(err)
	}
	k := Key{7, 1}
	limit := Limit{Period: time.Second / 5, Window: 4 * time.Second / 5} // 5 a second
	enter := func(at time.Duration, want Outcome) {
		t.Helper()
		tag, o := table.Enter(k, limit, noon.Add(at))
		if o != want {
			t.Errorf("after %v: outcome %d, want %d", at, o, want)
		}
		if o == Entered {
			table.Leave(tag)
		}
	}
	for range 5 {
		enter(0, Entered)
	}
	enter(0, TooFast)
	enter(199*time.Millisecond, TooFast) // what was refused has taken no token
	enter(200*time.Millisecond, Entered)
	enter(200*time.Millisecond, TooFast)
	enter(-time.Hour, Entered) // the clock was set back: nobody is shut out for an hour
	check(t, table)
	// A key that holds nothing and whose budget is full makes room.
	for i := range uint64(10000) {
		tag, o := table.Enter(Key{i, 2}, limit, noon.Add(time.Duration(i)*time.Second))
		if o != Entered || tag == 0 {
			t.Fatalf("key %d: tag %d, outcome %d", i, tag, o)
		}
		table.Leave(tag)
	}
	if table.Uncounted() != 0 {
		t.Errorf("%d were not counted", table.Uncounted())
	}
	check(t, table)
}

// TestFullTableRefusesNobody: who finds no room is let in, and counted as such.
func TestFullTableRefusesNobody(t *testing.T) {
	table, err := New(1)
	if err != nil {
		t.Fatal(err)
	}
	counted := 0
	const keys = 20000
	for i := range uint64(keys) {
		tag, o := table.Enter(Key{i, 0}, Limit{Max: 1, Period: time.Hour}, noon)
		if o != Entered {
			t.Fatalf("key %d: outcome %d", i, o)
		}
		if tag != 0 {
			counted++
		}
		table.Leave(0)
	}
	if counted+int(table.Uncounted()) != keys || table.Uncounted() == 0 || counted != table.Held() {
		t.Errorf("%d counted, %d not, %d held", counted, table.Uncounted(), table.Held())
	}
	check(t, table)
}

// TestAllKeysHaveRoom: as many keys as the table is made for find a node, however they hash.
func TestAllKeysHaveRoom(t *testing.T) {
	for _, keys := range []int{1, 100, 5000, 100000} {
		table, err := New(keys)
		if err != nil {
			t.Fatal(err)
		}
		for i := range uint64(keys) {
			if tag, _ := table.Enter(Key{i << 32, 1}, Limit{Max: 1}, noon); tag == 0 {
				t.Fatalf("of %d keys, number %d found no room", keys, i)
			}
		}
		check(t, table)
	}
}

// TestAgainstAModel does random things in several processes, and holds each outcome against a map.
func TestAgainstAModel(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	parent, all := openAll(t, 50, 4)
	held := map[Key]int{}
	type entry struct {
		k   Key
		tag uint32
	}
	entries := make([][]entry, len(all))
	for step := range 20000 {
		p := r.IntN(len(all))
		switch r.IntN(100) {
		case 0: // the process dies, and another one takes its place
			if err := parent.Forget(p); err != nil {
				t.Fatal(err)
			}
			for _, e := range entries[p] {
				held[e.k]--
			}
			entries[p] = nil
			check(t, parent)
		default:
			if n := len(entries[p]); n > 0 && r.IntN(2) == 0 {
				j := r.IntN(n)
				e := entries[p][j]
				all[p].Leave(e.tag)
				held[e.k]--
				entries[p][j] = entries[p][n-1]
				entries[p] = entries[p][:n-1]
				break
			}
			k := Key{uint64(r.IntN(40)), 1}
			tag, o := all[p].Enter(k, Limit{Max: 3}, noon)
			if want := held[k] < 3; (o == Entered) != want {
				t.Fatalf("step %d: key %v has %d: outcome %d", step, k, held[k], o)
			}
			if o == Entered {
				held[k]++
				entries[p] = append(entries[p], entry{k, tag})
			}
		}
	}
	check(t, parent)
}

// TestGoroutines: many at the same time never go beyond the limit.
func TestGoroutines(t *testing.T) {
	parent, all := openAll(t, 100, 4)
	var now, most atomic.Int64
	var wg sync.WaitGroup
	for _, table := range all {
		for range 4 {
			wg.Go(func() {
				for range 5000 {
					tag, o := table.Enter(Key{1, 1}, Limit{Max: 5}, noon)
					if o != Entered {
						continue
					}
					if n := now.Add(1); n > most.Load() {
						most.Store(n)
					}
					now.Add(-1)
					table.Leave(tag)
				}
			})
		}
	}
	wg.Wait()
	if most.Load() > 5 || parent.Held() != 0 {
		t.Errorf("%d at one time, %d keys left", most.Load(), parent.Held())
	}
	check(t, parent)
}

// child enters and leaves as fast as it can, until it is killed.
func child(number string) {
	process, _ := strconv.Atoi(number)
	table, err := Open(os.NewFile(3, "quota"), process)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("ready")
	var tags []uint32
	for i := uint64(0); ; i++ {
		if tag, o := table.Enter(Key{i % 300, 1}, Limit{Max: 1000}, noon); o == Entered {
			tags = append(tags, tag)
		}
		if len(tags) > 500 {
			table.Leave(tags[0])
			tags = tags[1:]
		}
	}
}

// TestKilledProcess: what a process held vanishes with it, wherever in the code it was killed.
func TestKilledProcess(t *testing.T) {
	parent, all := openAll(t, 300, 3)
	kept := map[Key]uint32{}
	for i := range uint64(300) {
		k := Key{i, 1}
		kept[k], _ = all[2].Enter(k, Limit{}, noon)
	}
	broken := 0
	for round := range 20 {
		var children []*exec.Cmd
		for p := range 2 {
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(os.Environ(), childVariable+"="+strconv.Itoa(p))
			cmd.ExtraFiles = []*os.File{parent.File()}
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			line := make([]byte, 64)
			if n, err := out.Read(line); err != nil || strings.TrimSpace(string(line[:n])) != "ready" {
				t.Fatalf("child: %q, %v", line[:n], err)
			}
			children = append(children, cmd)
		}
		for range rand.N(2000) {
			tag, _ := all[2].Enter(Key{1, 9}, Limit{}, noon)
			all[2].Leave(tag)
		}
		for p, cmd := range children {
			cmd.Process.Kill()
			cmd.Wait()
			for s := range parent.shards {
				if atomic.LoadUint32(&parent.shard(s).lock) == uint32(p)+1 {
					broken++
				}
			}
		}
		var forgotten sync.WaitGroup
		for p := range children {
			forgotten.Go(func() {
				if err := parent.Forget(p); err != nil {
					t.Error(err)
				}
			})
		}
		forgotten.Wait()
		check(t, parent)
		if got := parent.Held(); got != len(kept) {
			t.Fatalf("round %d: %d keys hold something, want %d", round, got, len(kept))
		}
	}
	t.Logf("%d processes of 40 were killed while they held a lock", broken)
	for k, tag := range kept {
		if parent.Key(tag) != k {
			t.Errorf("the tag of %v is that of %v", k, parent.Key(tag))
		}
		all[2].Leave(tag)
	}
	check(t, parent)
}

// TestLockOfTheDead: a lock whose holder was killed is waited for no longer than the bound, and
// nobody is refused for it; Leave is done when Forget has come.
func TestLockOfTheDead(t *testing.T) {
	parent, all := openAll(t, 10, 2)
	k := Key{3, 1}
	tag, _ := all[1].Enter(k, Limit{}, noon)
	s := all[0].hash(k) % all[0].shards
	if !all[0].lock(s) {
		t.Fatal("not locked")
	}
	if tag, o := all[1].Enter(k, Limit{Max: 1}, noon); o != Entered || tag != 0 || all[1].Uncounted() != 1 {
		t.Errorf("tag %d, outcome %d, %d not counted", tag, o, all[1].Uncounted())
	}
	all[1].Leave(tag)
	if err := parent.Forget(0); err != nil {
		t.Fatal(err)
	}
	for parent.Held() > 0 {
	}
	check(t, parent)
}

func TestWhatIsNoTable(t *testing.T) {
	if _, err := New(0); err == nil {
		t.Error("a table without keys")
	}
	if _, err := NewShared(KeysMax+1, 1); err == nil {
		t.Error("a table of too many keys")
	}
	if _, err := NewShared(1, ProcessesMax+1); err == nil {
		t.Error("a table of too many processes")
	}
	parent, _ := openAll(t, 10, 2)
	if parent.Forget(2) == nil || parent.Forget(-1) == nil {
		t.Error("forgot a process that cannot be")
	}
	for name, spoil := range map[string]func(f *os.File){
		"empty":         func(f *os.File) { f.Truncate(0) },
		"shorter":       func(f *os.File) { f.Truncate(8192) },
		"other version": func(f *os.File) { f.WriteAt([]byte{99}, 0) },
		"no heads":      func(f *os.File) { f.WriteAt(make([]byte, 4), 32) },
	} {
		table, err := NewShared(10, 2)
		if err != nil {
			t.Fatal(err)
		}
		fd, _ := unix.FcntlInt(table.File().Fd(), unix.F_DUPFD_CLOEXEC, 3)
		spoil(table.File())
		if _, err := Open(os.NewFile(uintptr(fd), "quota"), 0); err == nil {
			t.Errorf("%s: opened", name)
		}
		table.File().Close()
	}
	fd, _ := unix.FcntlInt(parent.File().Fd(), unix.F_DUPFD_CLOEXEC, 3)
	if _, err := Open(os.NewFile(uintptr(fd), "quota"), 2); err == nil {
		t.Error("opened by a process that it is not for")
	}
}

// BenchmarkTable is what a handshake and the end of its connection cost, with 10,000 addresses.
func BenchmarkTable(b *testing.B) {
	_, all := openAll(b, 100000, 7)
	limit := Limit{Max: 1000, Period: time.Microsecond, Window: time.Hour}
	for i := uint64(0); b.Loop(); i++ {
		tag, _ := all[3].Enter(Key{i % 10000 * 2654435761, 1}, limit, time.Now())
		all[3].Leave(tag)
	}
}

// BenchmarkArbiter is the same where another goroutine behind a socket decides, as the parent of
// workers would: without what it decides, and without the switch to another process.
func BenchmarkArbiter(b *testing.B) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		b.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		var p [24]byte
		for {
			if n, err := unix.Read(fds[1], p[:]); n <= 0 || err != nil {
				return
			}
			unix.Write(fds[1], p[:])
		}
	}()
	var p [24]byte
	for b.Loop() {
		for range 2 { // one to enter, one to leave
			unix.Write(fds[0], p[:])
			unix.Read(fds[0], p[:])
		}
	}
	unix.Close(fds[0])
	<-ended
	unix.Close(fds[1])
}

func TestLeaveKey(t *testing.T) {
	_, all := openAll(t, 10, 2)
	k := Key{5, 1 << 63}
	for range 2 {
		if _, o := all[0].Enter(k, Limit{Max: 2}, noon); o != Entered {
			t.Fatal(o)
		}
	}
	all[1].LeaveKey(k) // it holds nothing: what the other one holds stays
	if _, o := all[1].Enter(k, Limit{Max: 2}, noon); o != TooMany {
		t.Errorf("outcome %d", o)
	}
	for range 3 {
		all[0].LeaveKey(k)
	}
	if held := all[0].Held(); held != 0 {
		t.Errorf("%d keys hold something", held)
	}
	check(t, all[0])
}
