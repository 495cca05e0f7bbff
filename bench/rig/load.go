// One run of the load generator.

package rig

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"syscall"

	"c100k/loadgen"
	"c100k/loadgen/report"
)

// exitInterrupted is the exit code of a run that was interrupted.
const exitInterrupted = 130

// exitBottleneck is the exit code of a run whose generator could not keep up.
const exitBottleneck = 4

// Load is one run that has ended.
type Load struct {
	Result       *loadgen.Result
	Void         bool   // the generator says that it was the bottleneck itself: its times count for nothing, its counts do
	JSON, Report string // files it wrote
}

// Run runs `binary load` with the arguments given, and has it write base.json and base.html. What
// it says meanwhile goes to progress. When ctx ends, it is interrupted, and its partial result is
// an error.
func Run(ctx context.Context, binary, base string, progress io.Writer, args ...string) (*Load, error) {
	return Until(ctx, nil, binary, base, progress, args...)
}

// Until is Run, but the generator is interrupted when stop is closed, and its partial result
// counts.
func Until(ctx context.Context, stop <-chan struct{}, binary, base string, progress io.Writer, args ...string) (*Load, error) {
	load := &Load{JSON: base + ".json", Report: base + ".html"}
	cmd := exec.CommandContext(ctx, binary, append(append([]string{"load"}, args...), "--json", load.JSON, "--report", load.Report)...)
	cmd.Stdout, cmd.Stderr = progress, progress
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGINT) }
	cmd.WaitDelay = interruptTimeout
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGINT}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	var err error
	stopped := false
	select {
	case err = <-ended:
	case <-stop:
		stopped = true
		_ = cmd.Process.Signal(syscall.SIGINT) // it may have ended just now
		err = <-ended
	}
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case errors.As(err, &exit) && exit.ExitCode() == exitBottleneck:
		load.Void = true
	case stopped && errors.As(err, &exit) && exit.ExitCode() == exitInterrupted:
	case err != nil:
		return nil, fmt.Errorf("c100k load: %w", err)
	}
	document, err := report.Read(load.JSON)
	if err != nil {
		return nil, err
	}
	load.Result = document.Result
	return load, nil
}
