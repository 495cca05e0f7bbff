// One publish, seen by several processes.

package loadgen

import (
	"testing"
	"time"

	"c100k/loadgen/swarm"
)

func TestSpreads(t *testing.T) {
	ms := time.Millisecond
	s := newSpreads()
	s.add([]swarm.Spread{{Sender: 1, Seq: 7, Sent: 100 * ms, First: 103 * ms, Last: 110 * ms, Receivers: 5}, {Sender: 2, Seq: 7, Sent: 200 * ms, First: 201 * ms, Last: 201 * ms, Receivers: 1}})
	s.add([]swarm.Spread{{Sender: 1, Seq: 7, Sent: 100 * ms, First: 102 * ms, Last: 130 * ms, Receivers: 4}})
	s.close(150 * ms)
	if s.complete != 1 || len(s.open) != 1 {
		t.Fatalf("%d complete, %d open; want 1 and 1", s.complete, len(s.open))
	}
	if got := s.spread.Max() / int64(ms); got < 27 || got > 28 {
		t.Errorf("spread %d ms, want 28: from the first of one process to the last of the other", got)
	}
	if got := s.last.Max() / int64(ms); got < 29 || got > 30 {
		t.Errorf("to the last %d ms, want 30", got)
	}
	s.close(time.Hour)
	if s.complete != 2 || len(s.open) != 0 {
		t.Errorf("%d complete, %d open; want 2 and 0", s.complete, len(s.open))
	}
}
