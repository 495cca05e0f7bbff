// Connecting, with both kernels.

package netpoll_test

import (
	"net"
	"net/netip"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"c100k/netpoll"
)

// ending is how a connection ended.
type ending struct {
	reason netpoll.Reason
	errno  syscall.Errno
}

// dialer is a handler that says hello, and takes down what it hears and how its connections end.
type dialer struct {
	mu      sync.Mutex // guards the fields below
	heard   []string
	endings []ending
}

func (d *dialer) script() *script {
	return &script{
		open: func(l *netpoll.Loop, c *netpoll.Conn) { l.Send(c, []byte("hello")) },
		data: func(l *netpoll.Loop, c *netpoll.Conn, p []byte) {
			d.mu.Lock()
			defer d.mu.Unlock()
			d.heard = append(d.heard, string(p))
			l.Finish(c, netpoll.ReasonLocal, time.Second)
		},
		timer: func(l *netpoll.Loop, c *netpoll.Conn) { l.Close(c, netpoll.ReasonTimeout) },
		closed: func(l *netpoll.Loop, _ *netpoll.Conn, r netpoll.Reason) {
			d.mu.Lock()
			defer d.mu.Unlock()
			d.endings = append(d.endings, ending{r, l.Errno()})
		},
	}
}

func (d *dialer) ended() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.endings)
}

// dial makes n connections in one turn.
func dial(t *testing.T, l *netpoll.Loop, n int, local netip.Addr, remote string, timeout time.Duration) {
	t.Helper()
	onLoop(t, l, func(l *netpoll.Loop) {
		for range n {
			fd, err := netpoll.Connect(local, netip.MustParseAddrPort(remote))
			if err != nil {
				t.Error(err)
				return
			}
			l.Arm(l.Adopt(fd, 0, 0, nil), timeout)
		}
	})
}

// TestConnect: what is sent at once arrives when the connection stands.
func TestConnect(t *testing.T) {
	onBothKernels(t, func(t *testing.T, mode netpoll.IOMode) {
		addr := serve(t, startLoop(t, netpoll.Options{IO: mode, Handlers: handlers(echo())}))
		for _, nap := range []time.Duration{0, 100 * time.Microsecond} {
			var d dialer
			l := startLoop(t, netpoll.Options{IO: mode, Nap: nap, Handlers: handlers(d.script())})
			dial(t, l, 200, netip.Addr{}, addr, time.Minute)
			eventually(t, "all are answered and closed", func() bool { return d.ended() == 200 })
			if len(d.heard) != 200 || slices.Max(d.heard) != "hello" || d.endings[0].errno != 0 {
				t.Errorf("%d answers, first end %+v", len(d.heard), d.endings[0])
			}
		}
	})
}

func TestConnectFrom(t *testing.T) {
	for _, tt := range []struct{ network, listen, from, want string }{
		{"tcp4", "127.0.0.1:0", "127.1.2.3", "127.1.2.3"},
		{"tcp4", "127.0.0.1:0", "::ffff:127.1.2.3", "127.1.2.3"},
		{"tcp6", "[::1]:0", "::1", "::1"},
	} {
		ln, err := net.Listen(tt.network, tt.listen)
		if err != nil && tt.network == "tcp6" {
			continue // there is no such address here
		}
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		fd, err := netpoll.Connect(netip.MustParseAddr(tt.from), netip.MustParseAddrPort(ln.Addr().String()))
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(fd)
		c, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if ip := c.RemoteAddr().(*net.TCPAddr).IP.String(); ip != tt.want {
			t.Errorf("from %s, want %s", ip, tt.want)
		}
	}
}

// TestConnectRefused: in a batch and by itself.
func TestConnectRefused(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().String()
	ln.Close()
	onBothKernels(t, func(t *testing.T, mode netpoll.IOMode) {
		for _, n := range []int{1, 50} {
			var d dialer
			l := startLoop(t, netpoll.Options{IO: mode, Handlers: handlers(d.script())})
			dial(t, l, n, netip.Addr{}, addr, time.Minute)
			eventually(t, "all are closed", func() bool { return d.ended() == n })
			for _, e := range d.endings {
				if e != (ending{netpoll.ReasonReset, syscall.ECONNREFUSED}) {
					t.Errorf("%+v", e)
				}
			}
			if s := l.Stats(); s.OutboxBytes != 0 || s.Connections != 0 {
				t.Errorf("%+v", s)
			}
		}
	})
}

// TestConnectHangs: a server that does not take any more connections costs its clients their
// deadline, and the loop nothing meanwhile.
func TestConnectHangs(t *testing.T) {
	onBothKernels(t, func(t *testing.T, mode netpoll.IOMode) {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(fd)
		if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
			t.Fatal(err)
		}
		if err := unix.Listen(fd, 0); err != nil {
			t.Fatal(err)
		}
		name, err := unix.Getsockname(fd)
		if err != nil {
			t.Fatal(err)
		}
		addr := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(name.(*unix.SockaddrInet4).Port)).String()
		var d dialer
		l := startLoop(t, netpoll.Options{IO: mode, Handlers: handlers(d.script())})
		dial(t, l, 10, netip.Addr{}, addr, 300*time.Millisecond)
		eventually(t, "all have timed out", func() bool { return d.ended() == 10 })
		for _, e := range d.endings {
			if e != (ending{netpoll.ReasonTimeout, 0}) {
				t.Errorf("%+v", e)
			}
		}
		if n := l.Stats().Turns; n > 200 {
			t.Errorf("%d turns for nothing", n)
		}
	})
}

func TestConnectReset(t *testing.T) {
	onBothKernels(t, func(t *testing.T, mode netpoll.IOMode) {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		var d dialer
		l := startLoop(t, netpoll.Options{IO: mode, Handlers: handlers(d.script())})
		dial(t, l, 1, netip.Addr{}, ln.Addr().String(), time.Minute)
		c, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		_ = c.(*net.TCPConn).SetLinger(0)
		c.Close()
		eventually(t, "it is closed", func() bool { return d.ended() == 1 })
		if e := d.endings[0]; e != (ending{netpoll.ReasonReset, syscall.ECONNRESET}) {
			t.Errorf("%+v", e)
		}
	})
}

func TestConnectImpossible(t *testing.T) {
	before := files(t)
	for _, tt := range []struct{ local, remote string }{
		{"", "127.0.0.1:0"}, {"::1", "127.0.0.1:80"}, {"127.0.0.1", "[::1]:80"}, {"192.0.2.1", "127.0.0.1:80"},
	} {
		var local netip.Addr
		if tt.local != "" {
			local = netip.MustParseAddr(tt.local)
		}
		if fd, err := netpoll.Connect(local, netip.MustParseAddrPort(tt.remote)); err == nil || fd >= 0 {
			t.Errorf("from %q to %s: descriptor %d, %v", tt.local, tt.remote, fd, err)
		}
	}
	if fd, err := netpoll.Connect(netip.Addr{}, netip.AddrPort{}); err == nil || fd >= 0 {
		t.Errorf("to nowhere: descriptor %d, %v", fd, err)
	}
	if after := files(t); after != before {
		t.Errorf("%d descriptors, %d before", after, before)
	}
}
