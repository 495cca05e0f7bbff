package main

// environment.go: what figures depend on beside the machine's name.

import (
	"os/exec"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// nullSyscall is what entering the kernel and leaving it costs, in nanoseconds: the best of a few,
// as others may run meanwhile.
func nullSyscall() float64 {
	const calls = 100_000
	best := time.Duration(1 << 62)
	for range 5 {
		begin := time.Now()
		for range calls {
			unix.RawSyscall(unix.SYS_GETPPID, 0, 0, 0)
		}
		best = min(best, time.Since(begin))
	}
	return float64(best.Nanoseconds()) / calls
}

// firstErrorLine is what a command prints first on standard error, "" if it cannot be run.
func firstErrorLine(name string, args ...string) string {
	var text strings.Builder
	cmd := exec.Command(name, args...)
	cmd.Stderr = &text
	if cmd.Run() != nil {
		return ""
	}
	line, _, _ := strings.Cut(text.String(), "\n")
	return strings.TrimSpace(line)
}

// firstLine is what a command prints first, "" if it cannot be run.
func firstLine(name string, args ...string) string {
	out, err := exec.Command(name, args...).Output()
	if err != nil {
		return ""
	}
	line, _, _ := strings.Cut(string(out), "\n")
	return strings.TrimSpace(line)
}
