// What all tests of the package share: none leaves a goroutine or a descriptor behind.

package edge

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(counted{m}) }

// counted runs tests and counts descriptors.
type counted struct{ m *testing.M }

func (c counted) Run() int {
	// The runtime's own poller opens its descriptors with the first use.
	r, w, err := os.Pipe()
	if err == nil {
		r.Close()
		w.Close()
	}
	before := descriptors()
	code := c.m.Run()
	if after := descriptors(); code == 0 && after > before {
		fmt.Printf("%d descriptors were open before the tests, %d are after\n", before, after)
		return 1
	}
	return code
}

func descriptors() int {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	return len(entries)
}
