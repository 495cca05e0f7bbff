// Options of listeners: a first frame, compression, and a report of each publish that all have
// received.

package swarm_test

import (
	"net"
	"testing"

	"c100k/loadgen/swarm"
	"c100k/server"
)

// TestHello: a client is open when the server has answered its first frame, and receives what
// follows the answer.
func TestHello(t *testing.T) {
	addr := script(t, upgraded(func(c net.Conn) {
		expect(t, c, `{"connect":{}}`)
		text(c, `{"id":1}`)
		text(c, `{"push":"`+token(0)+`"}{"push":1}`)
		gone(c)
	}))
	r := begin(t, addr, swarm.Spec{URL: "ws://HOST", Mode: swarm.Subscribe, Conns: 3, Hello: `{"connect":{}}`})
	s := r.until("all have heard", func(s swarm.Sample) bool { return s.Open == 3 && s.Foreign == 3 && s.Received == 3 })
	if s.Opened != 3 || len(s.Failed) > 0 || s.Corrupted > 0 {
		t.Errorf("%+v", s)
	}
	r.end()
}

func TestCompress(t *testing.T) {
	ln := listen(t, "127.0.0.1:0")
	s := serveAs(t, ln, server.Config{Dev: true, Loops: 1, Drain: server.Off, Compress: true})
	r := begin(t, ln.Addr().String(), swarm.Spec{URL: "ws://HOST/ws?topic=t", Mode: swarm.Subscribe, Conns: 7, Size: 2000, Compress: true})
	r.open(7)
	r.begin(swarm.Begin{})
	publish(t, s, "t", 0, 0, 10, 2000)
	got := r.settle(10)
	if got.Received != 70 || got.Missing+got.Corrupted > 0 || got.BytesReceived > 70*500 {
		t.Errorf("70 messages of 2,000 bytes came as %d bytes: %+v", got.BytesReceived, got)
	}
	r.end()
	_, plain := node(t)
	r = begin(t, plain, swarm.Spec{URL: "ws://HOST/ws?topic=t", Mode: swarm.Subscribe, Conns: 1, Compress: true})
	r.until("refused", func(s swarm.Sample) bool { return s.Failed["no compression"] > 0 })
	r.end()
}

// TestRounds: a publish is reported when the last listener has it; listeners that do not read are
// not waited for.
func TestRounds(t *testing.T) {
	s, addr := node(t)
	r := begin(t, addr, swarm.Spec{URL: "ws://HOST/ws?topic=t", Mode: swarm.SlowReader, SlowShare: 0.2, Conns: 10, Size: 64, Rounds: true})
	r.open(10)
	r.begin(swarm.Begin{})
	for n := range uint64(5) {
		publish(t, s, "t", 0, n, n+1, 64)
		got := r.until("all have it", func(s swarm.Sample) bool { return s.Rounds > n })
		if got.Rounds != n+1 {
			t.Errorf("%d rounds after %d publishes", got.Rounds, n+1)
		}
	}
	if got := r.settle(5); got.Received != 40 || got.Rounds != 0 {
		t.Errorf("%+v", got)
	}
	r.end()
}
