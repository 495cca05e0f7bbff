// What the processes of a node use: processor time and memory.

package rig

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// childrenOf are the processes that a process has started and that are still there, in the order of their numbers.
func childrenOf(pid int) (children []int) {
	// A child is listed under the thread that started it.
	lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid)) // the pattern is well formed
	for _, list := range lists {
		text, _ := os.ReadFile(list) // a thread may have ended meanwhile
		for _, word := range strings.Fields(string(text)) {
			if child, err := strconv.Atoi(word); err == nil {
				children = append(children, child)
			}
		}
	}
	slices.Sort(children)
	return children
}

// cpuTime is the processor time that a process has used, all its threads together, from its clock in the kernel: nanoseconds, not ticks.
func cpuTime(pid int) (time.Duration, error) {
	const schedClock = 2 // CPUCLOCK_SCHED in the kernel's posix-timers.h, as clock_getcpuclockid composes it
	clock := int32(^uint32(pid)<<3 | schedClock)
	var ts unix.Timespec
	if err := unix.ClockGettime(clock, &ts); err != nil {
		return 0, fmt.Errorf("processor clock of process %d: %w", pid, err)
	}
	return time.Duration(ts.Nano()), nil
}

// privateBytes is the memory that belongs to a process alone.
func privateBytes(pid int) (int64, error) {
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

// gone tells whether an error says that a process has ended in between.
func gone(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH) || errors.Is(err, unix.EINVAL)
}
