package main

// environment.go: where the figures were made, so that a reader can tell what they depend on.

import (
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

type environment struct {
	Date       string   `json:"date"`
	Commit     string   `json:"commit"` // with "+dirty" where the work tree differs
	Kernel     string   `json:"kernel"`
	CPU        string   `json:"cpu"`
	CPUs       int      `json:"cpus"`
	Memory     string   `json:"memory"`
	SyscallNs  float64  `json:"null_syscall_ns"` // io_uring gains what system calls cost
	Mitigation string   `json:"meltdown"`
	Congestion string   `json:"tcp_congestion_control"`
	LoadBefore string   `json:"load_before"` // other work on the box
	Go         string   `json:"go"`
	CC         string   `json:"cc"`
	C100k      string   `json:"c100k"`
	Arguments  []string `json:"arguments"`
}

func describe(root, cc, c100k string) environment {
	var uts unix.Utsname
	unix.Uname(&uts) // fails for a bad address only
	e := environment{
		Date:       time.Now().UTC().Format(time.RFC3339),
		Commit:     firstLine("git", "-C", root, "rev-parse", "--short=12", "HEAD"),
		Kernel:     "Linux " + unix.ByteSliceToString(uts.Release[:]),
		CPU:        procValue("/proc/cpuinfo", "model name"),
		CPUs:       runtime.NumCPU(),
		Memory:     procValue("/proc/meminfo", "MemTotal"),
		SyscallNs:  nullSyscall(),
		Mitigation: fileLine("/sys/devices/system/cpu/vulnerabilities/meltdown"),
		Congestion: fileLine("/proc/sys/net/ipv4/tcp_congestion_control"),
		LoadBefore: fileLine("/proc/loadavg"),
		Go:         runtime.Version(),
		CC:         firstLine(cc, "--version"),
		Arguments:  os.Args[1:],
	}
	if c100k != "" {
		e.C100k = firstLine(c100k, "version")
	}
	if firstLine("git", "-C", root, "status", "--porcelain", "--untracked-files=no") != "" {
		e.Commit += "+dirty"
	}
	return e
}

// nullSyscall is what entering the kernel and leaving it costs, in nanoseconds: the best of a few, as others may run meanwhile.
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

// firstLine is what a command prints first, "" if it cannot be run.
func firstLine(name string, args ...string) string {
	out, err := exec.Command(name, args...).Output()
	if err != nil {
		return ""
	}
	line, _, _ := strings.Cut(string(out), "\n")
	return strings.TrimSpace(line)
}

func fileLine(path string) string {
	text, _ := os.ReadFile(path) // absent on some kernels
	line, _, _ := strings.Cut(string(text), "\n")
	return line
}

func procValue(path, name string) string {
	text, _ := os.ReadFile(path)
	for line := range strings.Lines(string(text)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
