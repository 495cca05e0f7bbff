// The other side: what the program does as one process of a run.

package loadgen

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"

	"c100k/loadgen/swarm"
)

// ServeProcess is a process of a run: a Spec as the first line of in, then Orders; Samples go to
// out, one a line. It returns when it was ordered to end, or when in does: the coordinator has
// gone.
func ServeProcess(ctx context.Context, in io.Reader, out io.Writer) error {
	lines := json.NewDecoder(bufio.NewReader(in))
	var spec swarm.Spec
	if err := lines.Decode(&spec); err != nil {
		return fmt.Errorf("read what to do from standard input: %w", err)
	}
	clients, err := swarm.New(spec)
	if err != nil {
		return err
	}
	// One processor more than the loop's: samples are compressed beside it, and the system, rather
	// than Go's scheduler, decides who waits.
	runtime.GOMAXPROCS(max(runtime.GOMAXPROCS(0), 2))
	// What ps and top show is the name of the file that was run, which may be /proc/self/exe. Where it
	// cannot be written, they show that.
	_ = os.WriteFile("/proc/self/comm", []byte(filepath.Base(os.Args[0])), 0)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	orders := make(chan swarm.Order)
	go func() {
		defer close(orders)
		for {
			var o swarm.Order
			if lines.Decode(&o) != nil {
				return
			}
			select {
			case orders <- o:
			case <-ctx.Done():
				return
			}
		}
	}()
	samples, failed := json.NewEncoder(out), error(nil)
	err = clients.Run(ctx, orders, func(s swarm.Sample) {
		s.Process = spec.Process
		if err := samples.Encode(s); err != nil && failed == nil {
			failed = err
			cancel() // nobody hears us
		}
	})
	if failed != nil {
		return failed
	}
	return err
}
