// /echo: a message comes back to its sender, as the kind it was, compressed if it was.

package echo

import (
	"c100k/frame"
	"c100k/internal/auth"
	"c100k/internal/wsconn"
	"c100k/netpoll"
)

// sessions holds the session records of a protocol without state.
type sessions struct{ netpoll.Slab[wsconn.State] }

func (s *sessions) open(c *netpoll.Conn) {
	i, _ := s.Alloc()
	c.SetSession(i)
}

// State implements wsconn.Protocol.
func (s *sessions) State(c *netpoll.Conn) *wsconn.State { return s.At(c.Session()) }

// Free implements wsconn.Protocol.
func (s *sessions) Free(c *netpoll.Conn) { s.Slab.Free(c.Session()) }

// Echo serves /echo on one loop; loop only.
type Echo struct {
	*wsconn.Endpoint
	sessions
	reply []byte
}

// NewEcho returns the handler of a role on one loop.
func NewEcho(cfg wsconn.Config) *Echo {
	e := &Echo{}
	e.Endpoint = wsconn.New(cfg, e)
	return e
}

// Open begins a session on c, which has just become this role; window is what
// frame.NegotiateDeflate has returned, who the client, nil if it was not identified.
func (e *Echo) Open(l *netpoll.Loop, c *netpoll.Conn, window frame.Window, who *auth.Principal) {
	e.open(c)
	e.Start(l, c, window)
	e.Speak(l, c, who)
}

// Message implements wsconn.Protocol.
func (e *Echo) Message(l *netpoll.Loop, c *netpoll.Conn, m *frame.Message) {
	if m.Compressed {
		e.reply = wsconn.AppendDeflated(e.reply[:0], m.Op, m.Payload, e.State(c).Window())
		e.Reply(l, c, e.reply)
		e.reply = e.reply[:0]
		return
	}
	reply, ok := m.InPlace()
	ok = ok && !withoutInPlace
	switch {
	case !ok:
		e.reply = frame.AppendFrame(e.reply[:0], m.Op, m.Payload)
		e.Reply(l, c, e.reply)
	case len(reply) < InPlaceBytesMin:
		e.Reply(l, c, reply)
	default:
		e.ReplyTurn(l, c, reply)
	}
}
