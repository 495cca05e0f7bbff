// Package doctor says whether this box can hold a number of connections, which limit is in the way,
// and how to lift it.
//
// A Host is where the facts come from: the file tree of the machine, the process's limit on open
// files, an attempt to set io_uring up. A Want is what the box is asked to hold. Examine asks one
// small function a limit, and each makes one Check; none of them knows the others. A Report is the
// checks, the number of connections the box holds, the limit that sets it, and how many processes
// it takes.
package doctor

import (
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"

	"c100k/netpoll"
)

// Host is a machine. Tests make one of a map of files.
type Host struct {
	Root      fs.FS                     // the tree from "/": proc, sys
	OpenFiles func() (soft, hard int64) // RLIMIT_NOFILE of this process; -1: no limit
	Uring     func() error              // tries what a loop would set up; nil: it works
	PageSize  int64                     // bytes
}

// ThisHost is the machine this process runs on.
func ThisHost() Host {
	return Host{Root: os.DirFS("/"), OpenFiles: openFiles, Uring: netpoll.ProbeUring, PageSize: int64(os.Getpagesize())}
}

func openFiles() (soft, hard int64) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 0, 0
	}
	clip := func(n uint64) int64 {
		if n > 1<<62 {
			return -1
		}
		return int64(n)
	}
	return clip(limit.Cur), clip(limit.Max)
}

// Verdict is what a check found.
type Verdict string

// The verdicts.
const (
	OK      Verdict = "ok"
	Warn    Verdict = "warn"    // the connections fit, but slower or with less room than they could
	Fail    Verdict = "fail"    // the connections do not fit
	Unknown Verdict = "unknown" // this box does not show the limit
)

// Check is one limit.
type Check struct {
	Name    string  `json:"name"`
	Value   string  `json:"value"`
	Needed  string  `json:"needed"`
	Verdict Verdict `json:"verdict"`
	Lift    string  `json:"lift,omitempty"` // the command or unit line that lifts it; empty when it need not be
	Note    string  `json:"note,omitempty"` // what the limit is about, where its name does not say it

	holds int64 // connections that fit under it; noBound when it sets none
}

// noBound is what a check holds that does not count connections.
const noBound = int64(-1)

// String is the check in one line, as a warning has it.
func (c Check) String() string {
	text := fmt.Sprintf("%s is %s (needed: %s)", c.Name, c.Value, c.Needed)
	if c.Lift != "" {
		text += ": " + c.Lift
	}
	return text
}

// Report is what a machine can do.
type Report struct {
	Conns      int64   `json:"conns"`                // wanted
	Workers    int64   `json:"workers,omitempty"`    // processes of the node that hold them
	PerProcess int64   `json:"per_process"`          // connections that one process may have open
	Holds      int64   `json:"holds"`                // what fits here, in as many processes as were asked for; -1: no bound can be seen
	LimitedBy  string  `json:"limited_by,omitempty"` // the check that sets Holds
	Able       bool    `json:"able"`                 // no check failed
	Serve      string  `json:"serve,omitempty"`      // the command that holds them, where it takes several workers
	Checks     []Check `json:"checks"`

	Certificates []Check `json:"certificates,omitempty"` // of the configuration, if it names some
}

// checks are all limits, in the order of the report.
var checks = []struct {
	node bool // matters only where the node is
	ask  func(Host, plan) Check
}{
	{true, processFiles}, {true, filesCeiling}, {false, systemFiles}, {false, memory}, {false, epollWatches}, {false, connectionTracking}, {false, tasks},
	{true, acceptBacklog}, {true, synBacklog}, {false, tcpMemory}, {false, localPorts}, {false, ioUring}, {true, hugePages},
}

// Examine checks every limit for what is wanted.
func Examine(h Host, want Want) Report {
	p := h.plan(want)
	report := Report{Conns: p.Conns, Workers: p.workers, Holds: noBound, Able: true, PerProcess: h.filesRoom()}
	for _, check := range checks {
		if check.node && !want.Node {
			continue
		}
		c := check.ask(h, p)
		if c.Verdict == Fail {
			report.Able = false
		}
		if c.holds != noBound && (report.Holds == noBound || c.holds < report.Holds) {
			report.Holds, report.LimitedBy = c.holds, c.Name
		}
		report.Checks = append(report.Checks, c)
	}
	if report.Able && p.workers > 1 {
		report.Serve = serveCommand(want)
	}
	return report
}

func serveCommand(want Want) string {
	workers := "auto"
	if want.Workers != 0 {
		workers = text(want.Workers)
	}
	return fmt.Sprintf("c100k serve --workers %s --max-conns %d", workers, want.Conns)
}
