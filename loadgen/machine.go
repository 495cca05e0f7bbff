// What the machine itself says: kernel memory and processor time.

package loadgen

import (
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// kernelMemory is the memory in kernel slabs and socket buffers, in bytes, for the whole machine.
func kernelMemory() int64 {
	return slabBytes(readProc("/proc/meminfo")) + socketBytes(readProc("/proc/net/sockstat"))
}

func readProc(path string) string {
	text, _ := os.ReadFile(path) // what is not there counts as nothing
	return string(text)
}

func slabBytes(meminfo string) int64 {
	for line := range strings.Lines(meminfo) {
		fields := strings.Fields(line)
		if len(fields) == 3 && fields[0] == "Slab:" {
			kib, _ := strconv.ParseInt(fields[1], 10, 64)
			return kib << 10
		}
	}
	return 0
}

func socketBytes(sockstat string) int64 {
	for line := range strings.Lines(sockstat) {
		fields := strings.Fields(line)
		if len(fields) > 2 && fields[0] == "TCP:" && fields[len(fields)-2] == "mem" {
			pages, _ := strconv.ParseInt(fields[len(fields)-1], 10, 64)
			return pages * int64(os.Getpagesize())
		}
	}
	return 0
}

// boxTime is the processor time of the machine since it started: in all, and that which nobody
// used.
type boxTime struct{ all, idle time.Duration }

func readBoxTime() boxTime { return parseBoxTime(readProc("/proc/stat")) }

// parseBoxTime reads the line of all processors together: user nice system idle iowait irq softirq
// steal, in hundredths of a second.
func parseBoxTime(stat string) (b boxTime) {
	line, _, _ := strings.Cut(stat, "\n")
	fields := strings.Fields(line)
	if len(fields) < 9 || fields[0] != "cpu" {
		return b
	}
	for i, field := range fields[1:9] {
		ticks, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return boxTime{}
		}
		d := time.Duration(ticks) * 10 * time.Millisecond
		b.all += d
		if i == 3 || i == 4 {
			b.idle += d
		}
	}
	return b
}

// busyShare is which part of the processors was in use between two readings; 0 where it is not
// known.
func (b boxTime) busyShare(since boxTime) float64 {
	all, idle := b.all-since.all, b.idle-since.idle
	if all <= 0 {
		return 0
	}
	return 1 - float64(idle)/float64(all)
}

// Machine is where a run was made.
type Machine struct {
	Kernel string `json:"kernel"`
	CPU    string `json:"cpu"`
	CPUs   int    `json:"cpus"`
	Memory int64  `json:"memory_bytes"`
}

// ThisMachine describes the machine that the program runs on.
func ThisMachine() Machine {
	m := Machine{CPUs: runtime.NumCPU(), Kernel: "Linux " + strings.TrimSpace(readProc("/proc/sys/kernel/osrelease"))}
	for line := range strings.Lines(readProc("/proc/cpuinfo")) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
			m.CPU = strings.TrimSpace(value)
			break
		}
	}
	for line := range strings.Lines(readProc("/proc/meminfo")) {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] == "MemTotal:" {
			kib, _ := strconv.ParseInt(fields[1], 10, 64)
			m.Memory = kib << 10
		}
	}
	return m
}
