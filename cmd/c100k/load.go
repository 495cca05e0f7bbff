// `c100k load`: drives load against a server.

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"c100k/loadgen"
	"c100k/loadgen/report"
	"c100k/loadgen/view"
)

// Exit codes of load beside those of every command.
const (
	exitUnreachable = 3   // the target is not there, or refuses everybody
	exitBottleneck  = 4   // the generator was the bottleneck: the result is invalid
	exitThreshold   = 99  // a --fail-if holds
	exitInterrupted = 130 // by Ctrl-C or TERM; the partial result has been written
)

func (a *app) loadVerb() *cobra.Command {
	c := a.command(verb{
		path: "load", use: "load URL", short: "Drives load against a WebSocket, Socket.IO or SSE server, and says whether the result can be believed",
		long: `URL is ws://, wss://, http:// or https://. In its path and query {topic} stands for a connection's topic, {i} for its number.
Ctrl-C ends early and still prints the partial result. On a terminal: + and - change the rate, e ends early.

Figures for --fail-if, with > >= < <= == or != and a bound (250ms, 1000/s, 4KiB, 90%, 3):
` + loadgen.MetricsHelp() + `

Exit codes: 0, 1 failure, or a run in which nothing worked, 2 usage, 3 target unreachable,
4 the result is invalid, mostly because the generator was the bottleneck, 99 a --fail-if holds, 130 interrupted.`,
		examples: []string{
			"c100k load ws://127.0.0.1:8080/echo --conns 10000 --rate 2000/s --for 30s",
			"c100k load 'ws://127.0.0.1:8080/ws?topic={topic}' --topic news --conns 5000 --publish http://127.0.0.1:9100/v1/topics/news --publish-rate 20/s",
			"c100k load 'ws://127.0.0.1:8080/ws?topic=news' --mode idle --conns 15000 --server-pid $(pgrep -o c100k) --for 1m",
			"c100k load 'http://127.0.0.1:8080/sse?topic=news' --publish http://127.0.0.1:9100/v1/topics/news --fail-if 'deliver.p99 > 250ms' --fail-if 'lost > 0'",
			"c100k load http://127.0.0.1:3000/socket.io/ --topic news --json now.json --report now.html",
			"c100k load compare before.json now.json",
		},
		args: arguments(1, 1, "one URL"),
		run:  func(ctx context.Context, c call) error { return (&loading{app: a, call: c}).run(ctx) },
	})
	c.AddCommand(a.loadCompare(), a.loadProcess())
	return c
}

// loadProcess is one process of a run, which the coordinator starts.
func (a *app) loadProcess() *cobra.Command {
	c := a.command(verb{
		path: "load process", use: "process", short: "Is one process of a load run: reads what to do from standard input",
		examples: []string{"c100k load process < spec.json"},
		args:     arguments(0, 0, "no arguments"),
		run:      func(ctx context.Context, _ call) error { return loadgen.ServeProcess(ctx, a.stdin, a.stdout) },
	})
	c.Hidden = true
	return c
}

func (a *app) loadCompare() *cobra.Command {
	return a.command(verb{
		path: "load compare", use: "compare A.json B.json", short: "Says what changed between two results, and whether it is more than noise",
		long: `Compares the figures of two documents of --json. Where there is a reading a second, the two series are tested (Mann-Whitney U):
p is the chance that both come from the same distribution, and ~ stands for a difference that may be noise.
The last sentence counts what is better and what is worse.

--fail-if takes a figure of load --fail-if, a comparison, and how many times the figure of A.json that of B.json may be.

Exit codes: 0, 1 failure, 2 usage, 4 with --fail-if: a result is invalid or of a run that failed, 99 a --fail-if holds.`,
		examples: []string{"c100k load compare before.json after.json",
			"c100k load compare before.json after.json --fail-if 'echo.p99 > 1.2x' --fail-if 'rate < 0.9x' --report compared.html"},
		args: arguments(2, 2, "two files"),
		run:  func(_ context.Context, c call) error { return a.compare(c) },
	})
}

// compare holds the documents of two runs against each other.
func (a *app) compare(c call) error {
	before, err := report.Read(c.args[0])
	if err != nil {
		return err
	}
	after, err := report.Read(c.args[1])
	if err != nil {
		return err
	}
	options := &c.Options.Load.Compare
	compared := report.Compare(before, after, options.Bounds...)
	if options.Report != "" {
		file, err := openResult(options.Report)
		if err != nil {
			return err
		}
		defer file.close()
		if err := compared.WriteHTML(file); err != nil {
			return fmt.Errorf("write %s: %w", options.Report, err)
		}
	}
	if err := compared.WriteText(a.stdout, a.terminal(a.stdout) && !slices.ContainsFunc(a.environ, wantsNoColor)); err != nil {
		return err
	}
	switch {
	case compared.Broken():
		return &exit{exitThreshold, nil}
	case compared.Unusable && len(compared.Bounds) > 0:
		return &exit{exitBottleneck, nil}
	}
	return nil
}

// wantsNoColor tells whether a variable of the environment asks for text without colors
// (https://no-color.org).
func wantsNoColor(variable string) bool {
	value, found := strings.CutPrefix(variable, "NO_COLOR=")
	return found && value != ""
}

// loading is one run of load.
type loading struct {
	*app
	call
	files   []*resultFile // opened before anything is measured
	targets map[string]io.Writer
}

func (l *loading) run(ctx context.Context) error {
	options := l.Options.Load.Run
	options.URL = l.call.args[0]
	run, err := loadgen.New(options)
	if err != nil {
		return l.word(err)
	}
	defer l.close()
	l.warnOfLimits(&options)
	if err := l.open(); err != nil {
		return err
	}
	ctx, stop := l.interruptible(ctx)
	defer stop()
	result, err := l.show(ctx, run)
	if err != nil {
		return l.word(err)
	}
	if err := l.write(result); err != nil {
		return err
	}
	return outcome(result)
}

// show runs it, and shows how it goes.
func (l *loading) show(ctx context.Context, run *loadgen.Run) (*loadgen.Result, error) {
	if l.terminal(l.stdin) && l.terminal(l.stderr) && !l.Options.Load.Plain {
		return view.Live(ctx, run, l.stdin, l.stderr, l.environ)
	}
	shown := make(chan struct{})
	go func() {
		defer close(shown)
		for p := range run.Watch() {
			fmt.Fprintln(l.stderr, view.Line(p))
		}
	}()
	result, err := run.Do(ctx)
	<-shown
	return result, err
}

// word gives an error of a run its exit code.
func (l *loading) word(err error) error {
	var misused *loadgen.UsageError
	var gone *loadgen.UnreachableError
	switch {
	case errors.As(err, &misused):
		return &exit{exitUsage, err}
	case errors.As(err, &gone):
		return &exit{exitUnreachable, err}
	case errors.Is(err, loadgen.ErrInterrupted):
		return &exit{exitInterrupted, err}
	}
	return err
}

// open makes the files of the results: a path that cannot be written must not be found out after
// the run.
func (l *loading) open() error {
	l.targets = map[string]io.Writer{}
	o := &l.Options.Load
	for _, path := range []string{o.JSON, o.Report, o.HDR} {
		switch {
		case path == "":
			continue
		case l.targets[path] != nil:
			return usage("--json, --report and --hdr cannot write to the same file, %s", path)
		case path == "-":
			l.targets[path] = l.stdout
			continue
		}
		file, err := openResult(path)
		if err != nil {
			return err
		}
		l.files = append(l.files, file)
		l.targets[path] = file
	}
	return nil
}

// close gives the files back.
func (l *loading) close() {
	for _, file := range l.files {
		file.close()
	}
}

// write writes the results, and the summary.
func (l *loading) write(result *loadgen.Result) error {
	o, document := &l.Options.Load, report.New(result, l.app.args)
	for _, output := range []struct {
		path  string
		write func(io.Writer) error
	}{{o.JSON, document.WriteJSON}, {o.Report, document.WriteHTML}, {o.HDR, document.WriteHDR}} {
		if output.path == "" {
			continue
		}
		if err := output.write(l.targets[output.path]); err != nil {
			return fmt.Errorf("write %s: %w", output.path, err)
		}
	}
	summary := l.stdout
	if l.targets["-"] != nil {
		summary = l.stderr
	}
	return report.WriteText(summary, result)
}

// outcome is what the program ends with: an interruption first; then a run in which nothing worked;
// then an invalid result, because thresholds mean nothing there.
func outcome(r *loadgen.Result) error {
	switch {
	case r.Interrupted:
		return &exit{exitInterrupted, nil}
	case len(r.Verdict.Failures) > 0:
		return &exit{exitFailure, nil}
	case !r.Verdict.Valid:
		return &exit{exitBottleneck, nil}
	case slices.ContainsFunc(r.Bounds, func(b loadgen.Outcome) bool { return b.Broken }):
		return &exit{exitThreshold, nil}
	}
	return nil
}
