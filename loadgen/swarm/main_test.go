// No test leaks a goroutine or a descriptor.

package swarm

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if r, w, err := os.Pipe(); err == nil { // opens what the runtime's poller keeps open
		r.Close()
		w.Close()
	}
	before := openFiles()
	code := m.Run()
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	if after := openFiles(); after > before && code == 0 {
		fmt.Fprintf(os.Stderr, "%d descriptors open after the tests, %d before\n", after, before)
		code = 1
	}
	os.Exit(code)
}

func openFiles() int {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		panic(err)
	}
	return len(entries)
}
