// Package procfs reads what the kernel knows of a process that others want to know too: what it has cost so far.
package procfs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// CPUTime is the processor time that a process has used, all its threads together, from its clock in the kernel: nanoseconds, where
// /proc/PID/stat has ticks. The error is Gone where there is no such process. Any goroutine.
func CPUTime(pid int) (time.Duration, error) {
	const schedClock = 2 // CPUCLOCK_SCHED in the kernel's posix-timers.h, as clock_getcpuclockid composes it
	clock := int32(^uint32(pid)<<3 | schedClock)
	var ts unix.Timespec
	if err := unix.ClockGettime(clock, &ts); err != nil {
		return 0, fmt.Errorf("processor clock of process %d: %w", pid, err)
	}
	return time.Duration(ts.Nano()), nil
}

// PrivateBytes is the memory that belongs to a process alone: what would be free if it ended. The kernel walks all its pages for it, some
// milliseconds for a big one. The error is Gone where there is no such process. Any goroutine.
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
		kib, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("smaps_rollup: %q: %w", line, err)
		}
		sum, found = sum+kib<<10, true
	}
	if !found {
		return 0, errors.New("smaps_rollup has no private pages")
	}
	return sum, nil
}

// Gone tells whether an error says that the process has ended.
func Gone(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH) || errors.Is(err, unix.EINVAL)
}
