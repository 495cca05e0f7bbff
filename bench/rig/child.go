// A child process on a core of its own.

package rig

import (
	"errors"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// Anywhere in place of a core leaves the child where the scheduler puts it.
const Anywhere = -1

// child is a process of ours. It is killed when this program ends.
type child struct {
	cmd  *exec.Cmd
	said *Progress
	done chan struct{} // closed when it has ended
}

// begin starts a command on a core, with env above this program's environment.
func begin(core int, command, env []string) (*child, error) {
	if len(command) == 0 {
		return nil, errors.New("no command")
	}
	c := &child{cmd: exec.Command(command[0], command[1:]...), said: NewProgress(), done: make(chan struct{})}
	c.cmd.Env = append(os.Environ(), env...)
	c.cmd.Stdout, c.cmd.Stderr = c.said, c.said
	c.cmd.WaitDelay = childTimeout
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the child inherits its core, and is killed with the thread
		var err error
		if core != Anywhere {
			err = Pin(core)
		}
		if err == nil {
			err = c.cmd.Start()
		}
		started <- err
		if err == nil {
			_ = c.cmd.Wait() // what the child said tells how it ended
			close(c.done)
		}
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return c, nil
}

func (c *child) pid() int { return c.cmd.Process.Pid }

// end asks the child to end, and kills it where it does not.
func (c *child) end() {
	_ = c.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-c.done:
	case <-time.After(childTimeout):
		_ = c.cmd.Process.Kill()
		<-c.done
	}
}
