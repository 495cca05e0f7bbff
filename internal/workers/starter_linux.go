// Starting processes that end with their parent.

package workers

import (
	"os/exec"
	"runtime"
	"syscall"
)

// starter starts processes, one at a time, on one thread of the system.
//
// The kernel sends the signal that a child asked for at its parent's death when the thread that
// started it ends, not the process (prctl(2), PR_SET_PDEATHSIG). So that thread must exist as long
// as any of the children.
type starter struct {
	commands chan startCommand
}

type startCommand struct {
	cmd  *exec.Cmd
	done chan error
}

func newStarter() *starter {
	s := &starter{commands: make(chan startCommand)}
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		for c := range s.commands {
			c.done <- c.cmd.Start()
		}
	}()
	return s
}

// start starts the command in a process group of its own, so that a Ctrl-C reaches the parent
// alone.
func (s *starter) start(cmd *exec.Cmd) error {
	// A worker reads the end of the link when the parent is gone. The signal is for a worker that does
	// not read it yet.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	done := make(chan error, 1)
	s.commands <- startCommand{cmd, done}
	return <-done
}

// stop ends the thread. All processes must have ended.
func (s *starter) stop() { close(s.commands) }
