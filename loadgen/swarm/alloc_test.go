// A message causes no allocation, on a faked kernel.

package swarm

import (
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"net/netip"
	"testing"
	"time"

	"c100k/frame"
	"c100k/netpoll/netpolltest"
)

// onFake is one open client on a faked kernel.
func onFake(t *testing.T, spec Spec) (*Swarm, *netpolltest.Loop, *netpolltest.Peer) {
	t.Helper()
	spec.URL, spec.Conns, spec.AllConns, spec.Timeout, spec.Size = "ws://h/", 1, 1, time.Minute, 128
	spec.Target = netip.MustParseAddrPort("127.0.0.1:1")
	s, err := New(spec)
	if err != nil {
		t.Fatal(err)
	}
	l := netpolltest.New(t, netpolltest.Options{Handlers: s.handlers})
	s.clients[0] = client{state: connecting, began: l.Now()}
	s.connecting = 1
	p := l.ConnectTagged(roleUpgrade, 1)
	_, rest, _ := bytes.Cut(p.Read(), []byte("Sec-WebSocket-Key: "))
	sum := sha1.Sum(append(bytes.Clone(rest[:keyBytes]), "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"...))
	answer := "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + base64.StdEncoding.EncodeToString(sum[:]) + "\r\n"
	if spec.Protocol == V1 {
		answer += "Sec-WebSocket-Protocol: c100k.v1\r\n"
	}
	p.Write([]byte(answer + "\r\n"))
	l.Settle()
	if spec.Protocol == V1 {
		p.Write(frame.AppendFrame(nil, frame.OpText, []byte(`{"type":"ack","id":1}`)))
		l.Settle()
	}
	if s.clients[0].state != open {
		t.Fatalf("the client is not open: %v", s.tally.failed)
	}
	return s, l, p
}

func TestReceivingAllocatesNothing(t *testing.T) {
	for _, spec := range []Spec{
		{Mode: Subscribe, Protocol: Raw},
		{Mode: Subscribe, Protocol: V1, Topics: []string{"t"}},
		{Mode: Echo, Protocol: Raw, InFlight: 1},
	} {
		s, l, p := onFake(t, spec)
		s.schedule.on = true
		var payload, message []byte
		seq := uint64(0)
		if n := testing.AllocsPerRun(500, func() {
			payload = payload[:0]
			if spec.Protocol == V1 {
				payload = append(payload, `{"type":"message","topic":"t","data":"`...)
			}
			payload = AppendMessage(payload, Token{Seq: seq, Sent: Clock()}, 128)
			if spec.Protocol == V1 {
				payload = append(payload, `"}`...)
			}
			seq++
			message = frame.AppendFrame(message[:0], frame.OpText, payload)
			p.Write(message)
			l.Turn()
			p.Discard()
		}); n > 0 {
			t.Errorf("%s, %s: %v allocations a message", spec.Mode, spec.Protocol, n)
		}
		if s.tally.received != seq || s.tally.heard != seq || spec.Mode == Echo && s.tally.sent != seq {
			t.Errorf("%s, %s: %d sent, %+v", spec.Mode, spec.Protocol, seq, s.tally)
		}
	}
}
