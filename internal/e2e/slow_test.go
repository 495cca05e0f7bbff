// Clients that are slow or silent, that send too much, or that reset: each has a bounded cost, and
// others are not affected.

package e2e

import (
	"errors"
	"fmt"
	"strings"
	"sync"
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
			start := time.Now()
			p := dial(t, n.public)
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
			if took := time.Since(start); took < 500*time.Millisecond {
				t.Errorf("it took %v", took)
			}
			close(stop)
			trickle.Wait()
		})
	}
}

func TestHeartbeat(t *testing.T) {
	t.Parallel()
	const interval = 300 * time.Millisecond
	n := serve(t, "--dev", "--ping-interval", interval.String(), "--ping-timeout", "400ms")
	t.Run("a peer that answers stays", func(t *testing.T) {
		t.Parallel()
		// An answer has time, on a busy machine, too. The second ping says that the first was answered.
		n := serve(t, "--dev", "--ping-interval", interval.String(), "--ping-timeout", "5s")
		p := n.upgrade(t, "/echo")
		for range 2 {
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
		tick := time.NewTicker(interval / 6)
		defer tick.Stop()
		spoken := time.Now() // a moment before the last that the node has heard
		for range 20 {
			<-tick.C
			begun := time.Now()
			p.text("a ping would be in the way")
			for {
				f, err := p.next()
				if err != nil {
					t.Fatal(err)
				}
				if f.Header.OpCode == ws.OpText {
					break
				}
				// A busy machine may have kept us silent for long enough, or the node from hearing us.
				if silent := time.Since(spoken); silent < interval/2 {
					t.Fatalf("%v after %v of silence", f.Header.OpCode, silent)
				}
				p.frame(true, ws.OpPong, f.Payload)
			}
			spoken = begun
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
	n := serve(t, "--dev", "--rate", "1/h", "--rate-burst", "10")
	p := n.upgrade(t, "/echo")
	for range 10 {
		p.echo("within the burst")
	}
	p.frame(true, ws.OpPing, nil) // is no message
	p.expectFrame(ws.OpPong, "")
	p.text("one too many")
	if reason := p.expectClose(1008); !strings.Contains(reason, "rate") {
		t.Errorf("reason %q", reason)
	}
	p.expectEnd()
}

// TestRSTStorm opens and resets connections at every stage of their life while another client is
// served.
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
		func(p *peer) error {
			_, err := p.Write([]byte("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"))
			return err
		},
		func(p *peer) error {
			_, err := p.Write([]byte("GET /sse?topic=storm HTTP/1.1\r\nHost: localhost\r\n\r\n"))
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

// TestFragments: many small fragments are legal, and cost only their bytes.
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

// TestFirehose: a client that sends without pause does not starve the others.
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
