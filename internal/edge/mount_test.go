package edge

import (
	"net/http"
	"strings"
	"testing"
)

// What a program's handlers have set is sent as net/http would send it, and cannot break the
// answer.
func TestMountLines(t *testing.T) {
	from := &http.Server{}
	m, refusal := NewMount(from, http.Header{
		"X-A": {"1", "2\r\nX-Evil: \x00 \n"}, "Bad Name": {"x"}, "X:": {"x"}, "": {"x"},
		"Content-Length": {"7"}, "Connection": {"close"}, "Upgrade": {"h2c"}, "Date": {"never"}, "Trailer": {"x"},
		"access-control-allow-origin": {"*"},
	})
	if refusal != nil {
		t.Fatal(refusal)
	}
	want := "X-A: 1\r\nX-A: 2  X-Evil:\r\naccess-control-allow-origin: *\r\n"
	if got := string(m.Lines()); got != want || !m.SetsCORS() || !m.Keeps() {
		t.Errorf("%q, want %q", got, want)
	}
	if got := string(m.Insert([]byte("xHTTP/1.1 200 OK\r\nA: b\r\n\r\nbody"), 1)); got != "xHTTP/1.1 200 OK\r\n"+want+"A: b\r\n\r\nbody" {
		t.Errorf("%q", got)
	}
	// The bound is on all of it.
	for n, ok := range map[int]bool{MountBytesMax - len("X: \r\n"): true, MountBytesMax: false} {
		if _, refusal := NewMount(nil, http.Header{"X": {strings.Repeat("a", n)}}); (refusal == nil) != ok {
			t.Errorf("%d bytes: %v", n, refusal)
		}
	}
	// A connection whose server is unknown ends with the answer.
	if m, _ = NewMount(nil, nil); m.Keeps() || m.SetsCORS() {
		t.Error("kept for handlers of no server")
	}
	var none *Mount
	if got := string(none.Insert([]byte("x"), 0)); got != "x" || none.Lines() != nil || !none.Keeps() || none.SetsCORS() {
		t.Errorf("without a Mount: %q", got)
	}
}
