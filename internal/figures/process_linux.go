// What the kernel and the Go runtime know about this process: memory, goroutines, descriptors.

package figures

import (
	"os"
	"runtime"
	"runtime/metrics"
	"sync"
	"syscall"
	"time"

	"c100k/internal/logqueue"
	"c100k/internal/procfs"
)

// processAgeMax is how old the memory and the descriptors of a Process may be. Adding up a
// process's private pages takes milliseconds of kernel time when it has gigabytes; without it every
// look at the figures would cost that.
const processAgeMax = time.Second

// Process is what the kernel and the Go runtime know about a process. Sizes are in bytes.
type Process struct {
	PID          int
	PrivateBytes int64         // pages that no other process maps
	BaseBytes    int64         // the same when the reader was made, before there were connections
	HeapBytes    int64         // live and not yet collected objects of the Go heap
	CPU          time.Duration // user and system time
	Goroutines   int
	OpenFiles    int
	FilesLimit   uint64 // the soft RLIMIT_NOFILE
	LogDropped   uint64 // lines of the log that its reader did not take
}

// ProcessReader reads this process. Any goroutine.
type ProcessReader struct {
	base int64 // private bytes when the reader was made; immutable

	mu   sync.Mutex // guards the fields below
	last Process
	at   time.Time
}

// NewProcessReader makes a reader, whose base is the memory at this moment.
func NewProcessReader() *ProcessReader { return &ProcessReader{base: privateBytes()} }

// Read reads the process. Memory and descriptors may be up to a second old.
func (p *ProcessReader) Read() Process {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now := time.Now(); p.at.IsZero() || now.Sub(p.at) >= processAgeMax {
		p.at = now
		p.last = Process{
			PID: os.Getpid(), PrivateBytes: privateBytes(), BaseBytes: p.base, HeapBytes: heapBytes(),
			OpenFiles: openFiles(), FilesLimit: filesLimit(),
		}
	}
	read := p.last
	read.Goroutines, read.CPU, read.LogDropped = runtime.NumGoroutine(), cpuTime(), logqueue.DroppedTotal()
	return read
}

// privateBytes is the memory that only this process maps; 0 where the kernel does not say.
func privateBytes() int64 {
	private, err := procfs.PrivateBytes(os.Getpid())
	if err != nil {
		return 0
	}
	return private
}

// cpuTime is the time that this process has run, in user and kernel mode.
func cpuTime() time.Duration {
	var usage syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &usage) != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func heapBytes() int64 {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	if sample[0].Value.Kind() != metrics.KindUint64 {
		return 0
	}
	return int64(sample[0].Value.Uint64())
}

// openFiles counts descriptors. Since Linux 6.2 the size of the directory is their number; before
// it is 0, and the names have to be read.
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
