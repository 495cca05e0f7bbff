// The process's own figures: memory, goroutines, descriptors.

package admin

import (
	"os"
	"runtime"
	"runtime/metrics"
	"sync"
	"syscall"
	"time"

	"c100k/internal/procfs"
)

// process reads this process's figures, at most once a ProcessAgeMax.
type process struct {
	base int64 // private bytes when the reader was made; immutable

	mu   sync.Mutex // guards the fields below
	last Stats      // only what read fills
	at   time.Time
}

func newProcess() *process { return &process{base: privateBytes()} }

// read adds this process's figures to those that the node has of others.
func (p *process) read(s *Stats) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now := time.Now(); p.at.IsZero() || now.Sub(p.at) >= ProcessAgeMax {
		p.at = now
		p.last.Memory = Memory{PrivateBytes: privateBytes(), BaseBytes: p.base, HeapBytes: heapBytes()}
		p.last.Files = Files{Open: openFiles(), Limit: filesLimit()}
	}
	s.PID = os.Getpid()
	s.Memory.PrivateBytes += p.last.Memory.PrivateBytes
	s.Memory.BaseBytes += p.last.Memory.BaseBytes
	s.Memory.HeapBytes += p.last.Memory.HeapBytes
	s.Files.Open += p.last.Files.Open
	s.Files.Limit += p.last.Files.Limit
	s.Goroutines += runtime.NumGoroutine()
	s.CPUSeconds += cpuSeconds()
	if s.Connections.Total > 0 {
		grown := s.Memory.PrivateBytes - s.Memory.BaseBytes
		s.Memory.PerConnectionBytes = max(grown, 0) / int64(s.Connections.Total)
	}
}

// privateBytes is the memory that only this process maps; 0 where the kernel
// does not say.
func privateBytes() int64 {
	private, err := procfs.PrivateBytes(os.Getpid())
	if err != nil {
		return 0
	}
	return private
}

// cpuSeconds is the time that this process has run, in user and kernel mode.
func cpuSeconds() float64 {
	var usage syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &usage) != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano()).Seconds()
}

func heapBytes() int64 {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	if sample[0].Value.Kind() != metrics.KindUint64 {
		return 0
	}
	return int64(sample[0].Value.Uint64())
}

// openFiles counts descriptors. Since Linux 6.2 the size of the directory is
// their number; before it is 0, and the names have to be read.
func openFiles() int {
	const dir = "/proc/self/fd"
	if info, err := os.Stat(dir); err == nil && info.Size() > 0 {
		return int(info.Size())
	}
	d, err := os.Open(dir)
	if err != nil {
		return 0
	}
	defer d.Close()
	names, _ := d.Readdirnames(-1)
	return max(len(names)-1, 0) // without d itself
}

func filesLimit() uint64 {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) != nil {
		return 0
	}
	return limit.Cur
}
