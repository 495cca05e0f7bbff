// Clients that are slow, silent, greedy or rude: each costs what it may cost, and nobody else notices.

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

func TestSlowHead(t *testing.T) {
	t.Parallel()
	n := serve(t, "--dev", "--handshake-timeout", "600ms")
	for name, head := range map[string]string{
		"nothing": "", "a trickle": upgradeRequest("/echo", "X: "+strings.Repeat("y", 1000)), "a trickle to net/http": "GET / HTTP/1.1\r\nHost: node.test\r\nX: " + strings.Repeat("y", 1000),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := dial(t, n.public)
			start := time.Now()
			stop := make(chan struct{})
			var trickle sync.WaitGroup
			trickle.Go(func() {
				tick := time.NewTicker(100 * time.Millisecond)
				defer tick.Stop()
				for i := range len(head) {
					if _, err := p.Write([]byte{head[i]}); err != nil {
						return
					}
					select {
					case <-tick.C:
					case <-stop:
						return
					}
				}
			})
			p.expectRefusal(408)
			if took := time.Since(start); took < 500*time.Millisecond || took > patience/2 {
				t.Errorf("it took %v", took)
			}
			close(stop)
			trickle.Wait()
		})
	}
}

func TestHeartbeat(t *testing.T) {
	t.Parallel()
	n := serve(t, "--dev", "--ping-interval", "300ms", "--ping-timeout", "400ms")
	t.Run("a peer that answers stays", func(t *testing.T) {
		t.Parallel()
		p := n.upgrade(t, "/echo")
		for range 5 {
			f, err := p.next()
			if err != nil || f.Header.OpCode != ws.OpPing {
				t.Fatalf("%v %v", f, err)
			}
			p.frame(true, ws.OpPong, f.Payload)
		}
		p.echo("still here")
	})
	t.Run("a peer that speaks is not pinged", func(t *testing.T) {
		t.Parallel()
		p := n.upgrade(t, "/echo")
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for range 20 {
			<-tick.C
			p.echo("a ping would be in the way")
		}
	})
	t.Run("a peer that does not answer is closed", func(t *testing.T) {
		t.Parallel()
		n := n.in(t)
		for _, path := range []string{"/echo", "/ws?topic=quiet", "/broadcast"} {
			p := n.upgrade(t, path)
			f, err := p.next()
			if err != nil || f.Header.OpCode != ws.OpPing {
				t.Fatalf("%v %v", f, err)
			}
			if reason := p.expectClose(1008); !strings.Contains(reason, "ping") {
				t.Errorf("reason %q", reason)
			}
			p.expectEnd()
		}
		n.eventually("the reason in the figures", func() error {
			if got := n.closedFor("websocket", "timeout"); got < 3 { // a test beside this one may have another
				return fmt.Errorf("%d", got)
			}
			return nil
		})
	})
	t.Run("a peer in the middle of a message is closed", func(t *testing.T) {
		t.Parallel()
		p := n.upgrade(t, "/echo")
		p.send("\x81\xfe\xff\xff\x00\x00\x00\x00abc") // 65,535 bytes are announced, 3 come
		p.expectClose(1008)
		p.expectEnd()
	})
	t.Run("a stream of events has comments", func(t *testing.T) {
		t.Parallel()
		s := n.stream(t, "/sse?topic=quiet")
		for comments := 0; comments < 5; {
			line, err := s.body.line()
			if err != nil {
				t.Fatal(err)
			}
			if strings.HasPrefix(line, ":") {
				comments++
			}
		}
	})
}

func TestRate(t *testing.T) {
	t.Parallel()
	n := serve(t, "--dev", "--rate", "1/s", "--rate-burst", "10")
	p := n.upgrade(t, "/echo")
	for range 10 {
		p.echo("within the burst")
	}
	p.frame(true, ws.OpPing, nil) // is no message
	p.expectFrame(ws.OpPong, "")
	for range 10 { // a slow machine may have earned one or two more
		p.text("too many")
	}
	if reason := p.expectClose(1008); !strings.Contains(reason, "rate") {
		t.Errorf("reason %q", reason)
	}
	p.expectEnd()
}

// narrow connects with a small receive buffer, so that a peer that does not read is soon one that is owed.
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
	if err := c.SetDeadline(time.Now().Add(2 * patience)); err != nil {
		t.Fatal(err)
	}
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
			reader.expectText(body) // whoever reads is not held up
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

// TestSlowConsumerDrop publishes to a peer that does not read, and then reads: what it got and what it is told it missed is everything.
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
				if counted := n.stats().SlowConsumers[strings.ReplaceAll(policy, "-", "_")]; counted != uint64(missed) {
					t.Errorf("counted as missed: %d, announced: %d", counted, missed)
				}
				n.publish("t", "999999") // and it goes on
				if number, gap, err := next(); number != 999999 || gap != 0 || err != nil {
					t.Errorf("%d %d %v", number, gap, err)
				}
			})
		}
	}
}

// envelopes subscribes in the enveloped form; each call of the result is one message's number, or the length of a gap.
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

// TestEchoBackPressure: a client that sends and does not read is not read either, and loses nothing.
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
		wrote, err := p.Write([]byte(frame.String()[part:]))
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
	if err := p.SetWriteDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
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

// TestRSTStorm opens and resets connections at every stage of their life while somebody else is served.
func TestRSTStorm(t *testing.T) {
	t.Parallel()
	const storm, workers = 2000, 8
	n := serve(t, "--dev")
	stages := []func(p *peer) error{
		func(*peer) error { return nil },
		func(p *peer) error { _, err := p.Write([]byte("GET /ec")); return err },
		func(p *peer) error { _, err := p.Write([]byte(upgradeRequest("/echo"))); return err },
		func(p *peer) error { return p.shakeHands("/ws?topic=storm") },
		func(p *peer) error {
			return errors.Join(p.shakeHands("/echo"), p.tryFrame(false, ws.OpText, make([]byte, 5000)))
		},
		func(p *peer) error { _, err := p.Write([]byte("GET / HTTP/1.1\r\nHost: h\r\n\r\n")); return err },
		func(p *peer) error {
			_, err := p.Write([]byte("GET /sse?topic=storm HTTP/1.1\r\nHost: h\r\n\r\n"))
			return err
		},
	}
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := range storm / workers {
				p, err := tryDial(n.public)
				if err != nil {
					t.Errorf("dial: %v", err)
					return
				}
				if err := stages[(w+i)%len(stages)](p); err != nil {
					t.Errorf("stage %d: %v", (w+i)%len(stages), err)
				}
				p.reset()
			}
		})
	}
	over := make(chan struct{})
	go func() { wg.Wait(); close(over) }()
	c := n.upgrade(t, "/echo")
	echoes := 0
	for done := false; !done; echoes++ {
		c.echo("in the storm")
		select {
		case <-over:
			done = true
		default:
		}
	}
	t.Logf("%d echoes in the storm", echoes)
	n.eventually("everybody but one is gone", func() error {
		if s := n.stats(); s.Connections.Total != 1 || s.Connections.Open["http"] != 0 || n.subscribers("storm") != 0 {
			return fmt.Errorf("%+v", s.Connections)
		}
		return nil
	})
	c.echo("after the storm")
}

// TestAnnouncedLengths: a length that is declared and not sent costs no memory.
func TestAnnouncedLengths(t *testing.T) {
	t.Parallel()
	const count = 1000
	n := serve(t, "--dev", "--max-message", "8MiB")
	n.upgrade(t, "/echo").echo("warm")
	before := n.stats().Memory.PrivateBytes
	for range count {
		p := n.upgrade(t, "/echo")
		p.send("\x82\xff\x00\x00\x00\x00\x00\x7f\x00\x00\x01\x02\x03\x04begun") // 8,323,072 bytes, of which 5 come
	}
	n.eventually("all are there", func() error {
		if got := n.stats().Connections.Open["websocket"]; got != count+1 {
			return fmt.Errorf("%d", got)
		}
		return nil
	})
	if after := n.stats().Memory.PrivateBytes; !raceEnabled && after-before > 16<<20 {
		t.Errorf("%d connections cost %d bytes", count, after-before)
	}
}

// TestFragments: many small fragments are legal, and cost their bytes.
func TestFragments(t *testing.T) {
	t.Parallel()
	const count = 65_000
	n := serve(t, "--dev")
	p := n.upgrade(t, "/echo")
	var all strings.Builder
	all.WriteString("\x01\x81\x00\x00\x00\x00a")
	for range count - 2 {
		all.WriteString("\x00\x81\x00\x00\x00\x00b")
	}
	all.WriteString("\x80\x81\x00\x00\x00\x00c")
	p.send(all.String())
	p.expectText("a" + strings.Repeat("b", count-2) + "c")
}

// TestFirehose: one client that sends without end does not starve the others.
func TestFirehose(t *testing.T) {
	t.Parallel()
	n := serve(t, "--dev", "--loops", "1")
	hose := n.upgrade(t, "/echo")
	batch := []byte(strings.Repeat(maskedText("water"), 2000))
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			if _, err := hose.Write(batch); err != nil {
				select {
				case <-stop: // it was cut in the middle
				default:
					t.Errorf("the firehose: %v", err)
				}
				return
			}
		}
	})
	wg.Go(func() {
		for {
			f, err := hose.next()
			if err != nil {
				return // closed below
			}
			if f.Header.OpCode != ws.OpText {
				t.Errorf("the firehose hears %+v %q", f.Header, f.Payload)
			}
		}
	})
	c := n.upgrade(t, "/echo")
	for range 300 {
		c.echo("between")
	}
	close(stop)
	hose.CloseWrite()
	wg.Wait()
}
