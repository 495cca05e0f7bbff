// Clients that do not read: their backlog is bounded, they are told what they missed, and no other
// client waits for them.

package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gobwas/ws"
)

// narrow connects with a small receive buffer, so that a peer that does not read soon has a
// backlog.
func (n *node) narrow(t *testing.T, path string, extra ...string) *peer {
	t.Helper()
	d := net.Dialer{Timeout: patience, Control: func(_, _ string, c syscall.RawConn) (err error) {
		if e := c.Control(func(fd uintptr) { err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 4096) }); e != nil {
			return e
		}
		return err
	}}
	c, err := d.Dial("tcp", n.public)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	p := newPeer(t, c)
	if strings.HasPrefix(path, "/sse") {
		p.send("GET " + path + " HTTP/1.1\r\nHost: node.test\r\n\r\n")
	} else if err := p.shakeHands(path, extra...); err != nil {
		t.Fatal(err)
	}
	return p
}

const (
	slowOutbox  = 64 << 10
	slowMessage = 8 << 10
)

func slowNode(t *testing.T, policy string) *node {
	return serve(t, "--dev", "--max-message", "16KiB", "--outbox", fmt.Sprint(slowOutbox), "--slow-consumer", policy, "--ping-interval", "off")
}

func TestSlowConsumerDisconnect(t *testing.T) {
	t.Parallel()
	n := slowNode(t, "disconnect")
	silent := n.narrow(t, "/ws?topic=t")
	events := n.narrow(t, "/sse?topic=t").stream()
	reader := n.upgrade(t, "/ws?topic=t")
	n.awaitSubscribers("t", 3)
	body := strings.Repeat("x", slowMessage)
	sent := 0
	n.eventually("both silent ones are given up", func() error {
		for range 20 {
			n.publish("t", body)
			sent++
			reader.expectText(body) // a client that reads is not held up
		}
		s := n.stats()
		if s.Queues.OutboxBytes > 4*slowOutbox {
			t.Fatalf("%d bytes are owed", s.Queues.OutboxBytes)
		}
		if s.SlowConsumers["disconnect"] < 2 {
			return fmt.Errorf("%v after %d messages", s.SlowConsumers, sent)
		}
		return nil
	})
	if n.publish("t", "after").Matched != 1 {
		t.Error("they are still subscribed")
	}
	reader.expectText("after")
	got := 0
	for {
		f, err := silent.next()
		if err != nil {
			t.Fatalf("after %d messages: %v", got, err)
		}
		if f.Header.OpCode == ws.OpClose {
			if code, reason := ws.ParseCloseFrameData(f.Payload); code != 1013 {
				t.Errorf("close %d %s", code, reason)
			}
			break
		}
		if string(f.Payload) != body {
			t.Fatal("a broken message")
		}
		got++
	}
	if got == 0 || got >= sent {
		t.Errorf("it got %d of %d", got, sent)
	}
	last := ""
	for {
		line, err := events.body.line()
		if err != nil {
			break
		}
		if line != "" {
			last = line
		}
	}
	if last != ":slow consumer" {
		t.Errorf("the stream of events ends with %.80q", last)
	}
	n.eventually("the reason in the figures", func() error {
		if a, b := n.closedFor("websocket", "slow_consumer"), n.closedFor("sse", "slow_consumer"); a != 1 || b != 1 {
			return fmt.Errorf("%d, %d", a, b)
		}
		return nil
	})
}

// TestSlowConsumerDrop publishes to a peer that does not read, and then reads: the messages it got
// and those it was told it missed are all of them.
func TestSlowConsumerDrop(t *testing.T) {
	t.Parallel()
	const count = 1500
	for _, policy := range []string{"drop-oldest", "drop-newest"} {
		for _, transport := range []string{"c100k.v1", "sse"} {
			t.Run(policy+" "+transport, func(t *testing.T) {
				t.Parallel()
				n := slowNode(t, policy)
				subscribe := envelopes
				if transport == "sse" {
					subscribe = eventsOf
				}
				next := subscribe(t, n)
				n.awaitSubscribers("t", 1)
				for i := range count {
					n.publish("t", fmt.Sprintf("%06d%s", i, strings.Repeat("x", slowMessage)))
				}
				if s := n.stats(); s.Queues.OutboxBytes > 4*slowOutbox || s.Queues.PendingBytes > 4*slowOutbox {
					t.Errorf("owed: %+v", s.Queues)
				}
				got, missed, last := 0, 0, -1
				for got+missed < count {
					number, gap, err := next()
					if err != nil {
						t.Fatalf("after %d messages and %d missed of %d: %v", got, missed, count, err)
					}
					missed += gap
					if gap > 0 {
						continue
					}
					got++
					if number <= last {
						t.Fatalf("%d after %d", number, last)
					}
					if number != got+missed-1 {
						t.Fatalf("message %d after %d messages and a gap of %d in all", number, got-1, missed)
					}
					last = number
				}
				if got+missed != count || missed == 0 {
					t.Errorf("%d messages and %d missed, of %d", got, missed, count)
				}
				n.eventually("what was missed is counted", func() error {
					if counted := n.stats().SlowConsumers[strings.ReplaceAll(policy, "-", "_")]; counted != uint64(missed) {
						return fmt.Errorf("counted as missed: %d, announced: %d", counted, missed)
					}
					return nil
				})
				n.publish("t", "999999") // and it goes on
				if number, gap, err := next(); number != 999999 || gap != 0 || err != nil {
					t.Errorf("%d %d %v", number, gap, err)
				}
			})
		}
	}
}

// envelopes subscribes in the enveloped form; each call of the result is one message's number, or
// the length of a gap.
func envelopes(t *testing.T, n *node) func() (number, gap int, err error) {
	p := n.narrow(t, "/ws?topic=t", "Sec-WebSocket-Protocol: c100k.v1")
	return func() (number, gap int, err error) {
		for {
			f, err := p.next()
			if err != nil {
				return 0, 0, err
			}
			var m struct {
				Type, Data string
				Missed     int
			}
			if err := json.Unmarshal(f.Payload, &m); err != nil {
				return 0, 0, fmt.Errorf("%w: %v %.100q", err, f.Header, f.Payload)
			}
			switch m.Type {
			case "gap":
				return 0, m.Missed, nil
			case "message":
				_, err := fmt.Sscanf(m.Data[:6], "%06d", &number)
				return number, 0, err
			}
		}
	}
}

// eventsOf is envelopes for a stream of events.
func eventsOf(t *testing.T, n *node) func() (number, gap int, err error) {
	s := n.narrow(t, "/sse?topic=t").stream()
	return func() (number, gap int, err error) {
		for {
			block, err := s.nextEvent()
			if err != nil {
				return 0, 0, err
			}
			data := strings.TrimPrefix(block[len(block)-1], "data: ")
			switch block[0] {
			case "event: gap":
				var m struct{ Missed int }
				err := json.Unmarshal([]byte(data), &m)
				return 0, m.Missed, err
			case "event: message":
				_, err := fmt.Sscanf(data[:6], "%06d", &number)
				return number, 0, err
			}
		}
	}
}

// TestEchoBackPressure: the server stops reading from a client that does not read, and the client
// loses nothing.
func TestEchoBackPressure(t *testing.T) {
	t.Parallel()
	n := serve(t, "--dev")
	p := n.narrow(t, "/echo")
	other := n.upgrade(t, "/echo")
	var frame strings.Builder
	message := strings.Repeat("m", 32<<10)
	frame.WriteString(maskedText(message))
	sent, part := 0, 0 // whole frames, and bytes of the next
	for {
		if err := p.SetWriteDeadline(time.Now().Add(500 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		wrote, err := p.Conn.Write([]byte(frame.String()[part:]))
		part += wrote
		if errors.Is(err, os.ErrDeadlineExceeded) {
			break // the node takes no more
		}
		if err != nil {
			t.Fatal(err)
		}
		sent, part = sent+1, 0
		if sent > 10_000 {
			t.Fatal("the node takes everything")
		}
	}
	other.echo("not held up")
	if s := n.stats(); s.Queues.OutboxBytes > 4<<20 {
		t.Errorf("%d bytes are owed", s.Queues.OutboxBytes)
	}
	var rest sync.WaitGroup
	rest.Go(func() {
		if _, err := p.Write([]byte(frame.String()[part:])); err != nil {
			t.Error(err)
		}
	})
	for range sent + 1 {
		p.expectText(message)
	}
	rest.Wait()
}
