//go:build !race

// Claims about pooled memory: the race detector makes sync.Pool drop at random.

package frame

import "testing"

func TestDeflateAllocs(t *testing.T) {
	message := records(1000)
	payload := AppendCompressed(nil, message, WindowFull)
	dst := make([]byte, 0, 1000)
	if allocs := testing.AllocsPerRun(100, func() {
		if _, err := Inflate(dst, payload, 1000); err != nil {
			t.Fatal(err)
		}
	}); allocs >= 1 {
		t.Errorf("with room in dst: %v allocations", allocs)
	}
	if allocs := testing.AllocsPerRun(100, func() { AppendCompressed(dst, message, WindowFull) }); allocs >= 1 {
		t.Errorf("AppendCompressed with room in dst: %v allocations", allocs)
	}
}
