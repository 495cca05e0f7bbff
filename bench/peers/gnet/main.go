// Command gnet is the rival on panjf2000/gnet with gobwas/ws, by the WebSocket server of its
// examples:
//
//   - --loops event loops, level-triggered as by default; everything happens on the loop that has
//     the connection;
//   - the build tags poll_opt and gc_opt that its documentation advises for very many connections
//     are set by the Makefile;
//   - handshake and frames as in command gobwas, by the same package wire: all frames of a read are
//     answered by one Write, or with --each by one for every message, as the example has it;
//   - a broadcast is encoded once. With one loop it is a Write to each connection; with several it
//     is AsyncWrite, which is how one loop may write to another's connections. A connection that
//     owes more than LagBytesMax is closed: gnet's buffers have no bound of their own;
//   - gnet has no deadlines: a client that never ends its request head keeps its record.
package main

import (
	"bytes"
	"net"
	"os"
	"sync"

	"c100k-peers/peer"
	"c100k-peers/wire"

	"github.com/panjf2000/gnet/v2"
	"golang.org/x/sys/unix"
)

func main() {
	o := peer.Parse()
	go func() {
		peer.Check(gnet.Run(&server{loops: o.Loops}, "tcp://"+o.Addr, gnet.WithNumEventLoop(o.Loops), gnet.WithLogger(silent{})))
	}()
	o.AwaitTerm()
}

type server struct {
	gnet.BuiltinEventEngine
	loops   int
	outputs sync.Pool // of *wire.Output

	mu      sync.Mutex  // guards members and the places in them; not held while writing
	members []gnet.Conn // on /broadcast
}

// silent is no log: gnet's own writes to standard output, where the listening line belongs, and a
// connection that is reset is no news.
type silent struct{}

func (silent) Debugf(string, ...any) {}
func (silent) Infof(string, ...any)  {}
func (silent) Warnf(string, ...any)  {}
func (silent) Errorf(string, ...any) {}
func (silent) Fatalf(string, ...any) {}

// state is what a connection has in its context.
type state struct {
	session wire.Session
	place   int // in members; -1: not there
}

// OnBoot says where gnet listens: it does not tell by itself, so the listener's descriptor is
// asked.
func (s *server) OnBoot(e gnet.Engine) gnet.Action {
	fd, err := e.Dup()
	peer.Check(err)
	f := os.NewFile(uintptr(fd), "listener")
	defer f.Close()
	addr, err := unix.Getsockname(fd)
	peer.Check(err)
	in4, ok := addr.(*unix.SockaddrInet4)
	if !ok {
		in6 := addr.(*unix.SockaddrInet6)
		peer.Ready(&net.TCPAddr{IP: in6.Addr[:], Port: in6.Port})
		return gnet.None
	}
	peer.Ready(&net.TCPAddr{IP: in4.Addr[:], Port: in4.Port})
	return gnet.None
}

// OnOpen gives a connection its state.
func (s *server) OnOpen(c gnet.Conn) ([]byte, gnet.Action) {
	c.SetContext(&state{place: -1})
	return nil, gnet.None
}

// OnClose takes it out of the room.
func (s *server) OnClose(c gnet.Conn, _ error) gnet.Action {
	s.leave(c.Context().(*state))
	return gnet.None
}

// OnTraffic answers what was read.
func (s *server) OnTraffic(c gnet.Conn) gnet.Action {
	out, ok := s.outputs.Get().(*wire.Output)
	if !ok {
		out = new(wire.Output)
	}
	defer s.outputs.Put(out)
	out.Begin(func() { s.send(c, out) })
	p, err := c.Next(-1)
	if err != nil {
		return gnet.Close
	}
	c.Context().(*state).session.Take(p, out)
	if out.End {
		return gnet.Close // it sends what is left first
	}
	return gnet.None
}

func (s *server) send(c gnet.Conn, out *wire.Output) {
	if len(out.Reply) > 0 {
		c.Write(out.Reply)
		closeIfSlow(c, nil)
	}
	if out.Joined {
		s.join(c)
	}
	if len(out.Everyone) > 0 {
		s.broadcast(out.Everyone)
	}
	out.Sent()
}

func (s *server) broadcast(p []byte) {
	if s.loops > 1 {
		p = bytes.Clone(p) // the loops have it for a while
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, c := range s.members {
			c.AsyncWrite(p, closeIfSlow)
		}
		return
	}
	// From the end: a write that fails closes its connection at once, and its place goes to the last,
	// which has been served.
	for i := len(s.members) - 1; i >= 0; i-- {
		c := s.members[i]
		c.Write(p)
		closeIfSlow(c, nil)
	}
}

// closeIfSlow runs on the connection's loop.
func closeIfSlow(c gnet.Conn, err error) error {
	if err == nil && c.OutboundBuffered() > peer.LagBytesMax {
		return c.Close()
	}
	return nil
}

func (s *server) join(c gnet.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st, ok := c.Context().(*state)
	if !ok {
		return // the answer to the handshake could not be written
	}
	st.place = len(s.members)
	s.members = append(s.members, c)
}

func (s *server) leave(st *state) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if st.place < 0 {
		return
	}
	end := len(s.members) - 1
	last := s.members[end]
	s.members[st.place] = last
	last.Context().(*state).place = st.place
	s.members[end] = nil
	s.members = s.members[:end]
	st.place = -1
}
