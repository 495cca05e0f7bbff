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
	load := &Load{JSON: base + ".json", Report: base + ".html"}
	cmd := exec.CommandContext(ctx, binary, append(append([]string{"load"}, args...), "--json", load.JSON, "--report", load.Report)...)
	cmd.Stdout, cmd.Stderr = progress, progress
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGINT) }
	cmd.WaitDelay = interruptTimeout
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGINT}
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case errors.As(err, &exit) && exit.ExitCode() == exitBottleneck:
		load.Void = true
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
