// What all tests of the package share: none leaves a goroutine or a descriptor behind.

package edge

import (
	"fmt"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(counted{m}) }

// closeWithin bounds the wait for descriptors that are being closed.
const closeWithin = 30 * time.Second

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
	// Goroutines that the last test left closing have the time that goleak gives them.
	after := descriptors()
	for end := time.Now().Add(closeWithin); after > before && time.Now().Before(end); after = descriptors() {
		time.Sleep(10 * time.Millisecond)
	}
	if code == 0 && after > before {
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
