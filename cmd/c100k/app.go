// The program as a value: where its input comes from, where its output goes, and what it is made
// of. Tests make their own.

package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"c100k/internal/doctor"
	"c100k/internal/logqueue"
	"c100k/internal/settings"
	"c100k/server"
)

// app is one run of the program.
type app struct {
	args           []string // without the program's name
	environ        []string // "NAME=value"
	stdin          io.Reader
	stdout, stderr io.Writer
	queues         []*logqueue.Writer // in front of streams whose readers must not block a node
	files          []*logqueue.File   // behind some of the queues
	terminal       func(stream any) bool
	signals        func(...os.Signal) (ch <-chan os.Signal, stop func())
	newNode        nodeMaker
	host           func() doctor.Host
	ports          func() (*server.Ports, error)              // that systemd has opened
	pause          func(context.Context, time.Duration) error // sleeps, or returns the context's error
}

// run executes the command line and returns the exit code.
func (a *app) run(ctx context.Context) int {
	root := a.root()
	root.SetArgs(a.args)
	root.SetIn(a.stdin)
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	defer a.closeLog()
	return a.exitCode(root.ExecuteContext(ctx))
}

// verb is a command that does something.
type verb struct {
	path     string // "config show"
	use      string // "show [flags]"
	short    string // one line of purpose
	long     string // what there is to know beyond the flags; may be empty
	examples []string
	args     cobra.PositionalArgs
	file     func(settings.Flags, []string) // takes flags from the arguments; nil: there are none in them
	node     bool                           // needs a node's settings: what is wrong with them is said at once
	words    []string                       // what shells complete as an argument
	run      func(context.Context, call) error
}

// call is one execution of a verb.
type call struct {
	*settings.Loaded
	args []string
	load func() (*settings.Loaded, error) // loads the settings again, from all their places as they are now
}

// command makes the cobra command of a verb, with the flags that the table of settings has for it.
func (a *app) command(v verb) *cobra.Command {
	c := &cobra.Command{Use: v.use, Short: v.short, Long: v.long, Args: v.args, ValidArgs: v.words,
		Example: strings.Join(v.examples, "\n"), Annotations: map[string]string{pathKey: v.path}}
	flags := settings.AddFlags(c.Flags(), v.path)
	c.RunE = func(c *cobra.Command, args []string) error {
		this := call{args: args, load: func() (*settings.Loaded, error) {
			return settings.Load(settings.Input{Command: v.path, Flags: flags, Environ: a.environ, ReadFile: os.ReadFile})
		}}
		if v.file != nil {
			v.file(flags, args)
		}
		var err error
		if this.Loaded, err = this.load(); err != nil {
			if v.node {
				err = allProblems(this.Loaded, err)
			}
			return misconfigured(err)
		}
		return failed(v.run(c.Context(), this))
	}
	completeChoices(c, v.path)
	return c
}

// pathKey is the annotation under which a command keeps its name in the table of settings.
const pathKey = "c100k_path"

// completeChoices lets shells complete the words that a flag can be.
func completeChoices(c *cobra.Command, path string) {
	choices := settings.Choices(path)
	c.Flags().VisitAll(func(flag *pflag.Flag) {
		if words := choices[flag.Name]; words != nil {
			// It fails only for a flag that is not there or was registered twice.
			_ = c.RegisterFlagCompletionFunc(flag.Name, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp))
		}
	})
}

// interruptible gives a context that INT and TERM end too; stop gives back what it holds.
func (a *app) interruptible(ctx context.Context) (_ context.Context, stop func()) {
	signals, forget := a.signals(syscall.SIGINT, syscall.SIGTERM)
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		select {
		case <-signals:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, func() { cancel(); forget() }
}

// echoOfSignal is how soon after a signal the same one again is its echo: who signals a process and
// its group, as timeout(1) does, delivers it twice.
const echoOfSignal = 100 * time.Millisecond

// catch delivers signals, without their echoes, until stop is called. A TERM is not lost behind
// many HUPs that the program has not come to: of those that wait, one HUP stands for all.
func catch(which ...os.Signal) (signals <-chan os.Signal, stop func()) {
	raw, ch, end := make(chan os.Signal, 64), make(chan os.Signal), make(chan struct{})
	signal.Notify(raw, which...)
	go func() {
		var waiting []os.Signal // at most one HUP, and a few others: their echoes are dropped
		var last os.Signal
		var at time.Time
		for {
			var next os.Signal
			var out chan os.Signal // nil while nothing waits
			if len(waiting) > 0 {
				next, out = waiting[0], ch
			}
			select {
			case <-end:
				return
			case out <- next:
				waiting = waiting[1:]
			case s := <-raw:
				switch {
				case s == syscall.SIGHUP && slices.Contains(waiting, s):
					continue // the file is read after this one, too
				case s == last && s != syscall.SIGHUP && time.Since(at) < echoOfSignal:
					continue
				case len(waiting) == cap(raw):
					continue
				}
				last, at = s, time.Now()
				waiting = append(waiting, s)
			}
		}
	}()
	return ch, func() { signal.Stop(raw); close(end) }
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
