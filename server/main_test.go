// The tests of this package leave no goroutine and no descriptor behind.

package server

import (
	"fmt"
	"os"
	"runtime"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	before := openFiles()
	code := m.Run()
	if err := goleak.Find(); err != nil {
		fmt.Fprintln(os.Stderr, "goroutines are left:", err)
		return 1
	}
	// Some are closed by finalizers (an os.Root), so it is looked at more than once.
	deadline := time.Now().Add(patience)
	for openFiles() > before+filesOfRuntime {
		if time.Now().After(deadline) {
			fmt.Fprintf(os.Stderr, "descriptors are left: %d, before there were %d\n", openFiles(), before)
			return 1
		}
		runtime.GC()
		time.Sleep(time.Millisecond)
	}
	return code
}

// filesOfRuntime are what the runtime opens once for its own poller: epoll and its eventfd.
const filesOfRuntime = 2

func openFiles() int {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0 // then there is nothing to compare with
	}
	return len(entries)
}
