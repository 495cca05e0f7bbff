// A node whose connections have a layer below their protocols, on real sockets.

package server

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"c100k/broadcast"
	"c100k/netpoll"
	"c100k/netpoll/netpolltest"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
)

// startLayered starts a node whose clients speak netpolltest.XORLayer.
func startLayered(t *testing.T, c Config) *Server {
	c.layer = func(int) netpoll.Layer { return new(netpolltest.XORLayer) }
	return start(t, c)
}

// dialLayered opens a WebSocket over the layer. receive is the size of its receive buffer, 0 for
// the system's.
func dialLayered(t *testing.T, address, path string, receive int, protocols ...string) (net.Conn, *netpolltest.XORConn) {
	t.Helper()
	var c *netpolltest.XORConn
	small := func(_, _ string, raw syscall.RawConn) (err error) {
		if receive == 0 {
			return nil
		}
		if e := raw.Control(func(fd uintptr) { err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, receive) }); e != nil {
			return e
		}
		return err
	}
	d := ws.Dialer{Timeout: patience, Protocols: protocols, NetDial: func(ctx context.Context, network, address string) (net.Conn, error) {
		raw, err := (&net.Dialer{Control: small}).DialContext(ctx, network, address)
		c = &netpolltest.XORConn{Conn: raw}
		return c, err
	}}
	_, early, _, err := d.Dial(t.Context(), "ws://"+address+path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if early != nil {
		return &earlyConn{c, early}, c
	}
	return c, c
}

// TestLayeredEcho: subscribe, publish, echo, large messages, and the closing record behind the
// close frame.
func TestLayeredEcho(t *testing.T) {
	for _, io := range []string{"syscall", "auto"} {
		s := startLayered(t, Config{Dev: true, IO: io, Loops: 2})
		address := s.Addr().String()
		one, wire := dialLayered(t, address, "/ws?topic=room", 0)
		two, _ := dialLayered(t, address, "/ws?topic=room", 0)
		eventually(t, "both are subscribed", func() bool { return subscribers(s, "room") == 2 })
		say(t, one, "hello")
		expectText(t, one, "hello")
		expectText(t, two, "hello")
		large := strings.Repeat("0123456789abcdef", 3800) // many records, and more than one read
		say(t, two, large)
		expectText(t, one, large)
		expectText(t, two, large)
		if err := wsutil.WriteClientMessage(one, ws.OpClose, ws.NewCloseFrameBody(ws.StatusNormalClosure, "bye")); err != nil {
			t.Fatal(err)
		}
		if _, _, err := wsutil.ReadServerData(one); err == nil {
			t.Error("data behind the close frame")
		}
		for err := error(nil); err == nil; { // to the FIN
			_, err = one.Read(make([]byte, 100))
		}
		if !wire.Ended() {
			t.Error("no closing record before the FIN")
		}
		eventually(t, "one is left", func() bool { return subscribers(s, "room") == 1 })
	}
}

// TestLayeredSlowConsumer: with drop-oldest a client that does not read gets, when it does, a gap
// for exactly what was dropped, and every message else in order.
func TestLayeredSlowConsumer(t *testing.T) {
	const count, size = 1500, 8 << 10
	s := startLayered(t, Config{Dev: true, Loops: 1, SlowConsumer: SlowDropOldest, Outbox: 64 << 10})
	c, _ := dialLayered(t, s.Addr().String(), "/ws?topic=t", 64<<10, "c100k.v1")
	eventually(t, "it is subscribed", func() bool { return subscribers(s, "t") == 1 })
	got, missed := 0, 0
	next := func() (number, gap int) {
		for {
			p, _, err := wsutil.ReadServerData(c)
			if err != nil {
				t.Fatalf("after %d messages and %d missed: %v", got, missed, err)
			}
			var m struct {
				Type, Data string
				Missed     int
			}
			if err := json.Unmarshal(p, &m); err != nil {
				t.Fatalf("%v: %.100q", err, p)
			}
			switch m.Type {
			case "gap":
				return 0, m.Missed
			case "message":
				if _, err := fmt.Sscanf(m.Data, "%06d", &number); err != nil {
					t.Fatal(err)
				}
				return number, 0
			}
		}
	}
	for i := range count {
		if _, err := s.PublishAll(t.Context(), "t", broadcast.Text, fmt.Appendf(nil, "%06d%s", i, strings.Repeat("x", size))); err != nil {
			t.Fatal(err)
		}
		if i%16 == 15 { // no message is dropped for want of room in the hub
			eventually(t, "the loop has delivered them", func() bool { return s.node.Hub().Counters().PendingBytes == 0 })
		}
	}
	for got+missed < count {
		number, gap := next()
		if missed += gap; gap > 0 {
			continue
		}
		if got++; number != got+missed-1 {
			t.Fatalf("message %d after %d messages and %d missed", number, got-1, missed)
		}
	}
	if got+missed != count || missed == 0 {
		t.Errorf("%d messages and %d missed, of %d", got, missed, count)
	}
	if _, err := s.Publish("t", broadcast.Text, []byte("999999")); err != nil {
		t.Fatal(err)
	}
	if number, gap := next(); number != 999999 || gap != 0 {
		t.Errorf("%d %d", number, gap)
	}
}
