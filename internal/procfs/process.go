// Package procfs reads what a process costs: its processor time and its private memory.
package procfs

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// CPUTime returns the processor time that a process has used, all its threads together. It reads
// the clock of the process, which counts nanoseconds; /proc/PID/stat counts ticks. Gone reports
// whether the error means that there is no such process. Any goroutine may call it.
func CPUTime(pid int) (time.Duration, error) {
	const schedClock = 2 // CPUCLOCK_SCHED in the kernel's posix-timers.h, as clock_getcpuclockid composes it
	clock := int32(^uint32(pid)<<3 | schedClock)
	var ts unix.Timespec
	if err := unix.ClockGettime(clock, &ts); err != nil {
		return 0, fmt.Errorf("processor clock of process %d: %w", pid, err)
	}
	return time.Duration(ts.Nano()), nil
}

// PrivateBytes returns the memory in bytes that only this process uses, which would be free if it
// ended. The kernel walks all its pages for it: some milliseconds for a large process. Gone reports
// whether the error means that there is no such process. Any goroutine may call it.
func PrivateBytes(pid int) (int64, error) {
	rollup, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return 0, err
	}
	return parsePrivate(string(rollup))
}

// parsePrivate adds up Private_Clean, Private_Dirty and Private_Hugetlb of a smaps_rollup.
func parsePrivate(rollup string) (sum int64, err error) {
	found := false
	for line := range strings.Lines(rollup) {
		name, value, _ := strings.Cut(line, ":")
		if !strings.HasPrefix(name, "Private_") {
			continue
		}
		value = strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB"))
		kib, err := strconv.ParseUint(value, 10, 63-10)
		if err != nil {
			return 0, fmt.Errorf("smaps_rollup: %q: %w", line, err)
		}
		if sum > math.MaxInt64-int64(kib<<10) {
			return 0, fmt.Errorf("smaps_rollup: %q: the sum is more than %d bytes", line, int64(math.MaxInt64))
		}
		sum, found = sum+int64(kib<<10), true
	}
	if !found {
		return 0, errors.New("smaps_rollup has no line with Private_")
	}
	return sum, nil
}

// Gone reports whether an error of this package means that the process has ended.
func Gone(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH) || errors.Is(err, unix.EINVAL)
}
