// What a process and all that it started cost: processor time and memory, read from the kernel.

package loadgen

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"c100k/internal/procfs"
)

// ServerReading is one look at the processes of the server.
type ServerReading struct {
	Processes int           // alive
	CPU       time.Duration // of all of them, those that have ended included, as far as they were seen
	Memory    int64         // private bytes
}

// tree is a process with its descendants. Those that come are found at each reading; what those
// that have gone had used is remembered. One goroutine uses it.
type tree struct {
	root int
	seen map[int]member
	gone time.Duration // processor time of members that have ended
}

// member is one process of a tree as it was last seen. A number that has another start time is
// another process.
type member struct {
	started string
	cpu     time.Duration
}

func newTree(root int) *tree { return &tree{root: root, seen: map[int]member{}} }

// processExists tells whether there is a process of that number.
func processExists(pid int) bool {
	_, err := os.Stat(fmt.Sprintf("/proc/%d", pid))
	return err == nil
}

// cpu reads the processor time of the tree.
func (t *tree) cpu() (r ServerReading, err error) {
	alive, err := t.members()
	if err != nil {
		return r, err
	}
	for pid, was := range t.seen {
		if now, there := alive[pid]; !there || now.started != was.started {
			t.gone += was.cpu
			delete(t.seen, pid)
		}
	}
	r.CPU = t.gone
	for pid, m := range alive {
		used, err := procfs.CPUTime(pid)
		if err != nil {
			used = t.seen[pid].cpu // it ended just now, and is counted as it was
		}
		m.cpu = used
		t.seen[pid] = m
		r.CPU += used
		r.Processes++
	}
	if _, there := alive[t.root]; !there {
		return r, fmt.Errorf("process %d has ended", t.root)
	}
	return r, nil
}

// memory reads the private bytes of the tree, beside its processor time.
func (t *tree) memory() (ServerReading, error) {
	r, err := t.cpu()
	if err != nil {
		return r, err
	}
	for pid := range t.seen {
		private, err := procfs.PrivateBytes(pid)
		if procfs.Gone(err) {
			continue // it ended just now
		}
		if err != nil {
			return r, fmt.Errorf("memory of process %d: %w", pid, err)
		}
		r.Memory += private
	}
	return r, nil
}

// members finds the root and all that descends from it.
func (t *tree) members() (map[int]member, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	children := map[int][]int{}
	started := map[int]string{}
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		line, err := os.ReadFile("/proc/" + entry.Name() + "/stat")
		if err != nil {
			continue // it ended meanwhile
		}
		parent, start, ok := parseStat(line)
		if ok {
			children[parent] = append(children[parent], pid)
			started[pid] = start
		}
	}
	alive := map[int]member{}
	for next := []int{t.root}; len(next) > 0; next = next[1:] {
		pid := next[0]
		if start, there := started[pid]; there {
			alive[pid] = member{started: start}
			next = append(next, children[pid]...)
		}
	}
	return alive, nil
}

// parseStat takes the parent and the start time out of a line of /proc/PID/stat. Zombies are not
// alive.
func parseStat(line []byte) (parent int, started string, ok bool) {
	// The name stands in parentheses, and may have any character in it.
	_, rest, found := strings.Cut(string(line[max(0, bytes.LastIndexByte(line, ')')):]), ") ")
	fields := strings.Fields(rest)
	if !found || len(fields) < 20 || fields[0] == "Z" || fields[0] == "X" {
		return 0, "", false
	}
	parent, err := strconv.Atoi(fields[1])
	return parent, fields[19], err == nil
}
