package websocket

import (
	"bytes"
	"strings"
	"testing"

	"c100k/broadcast"
	"c100k/frame"
	"c100k/internal/edge"
	"c100k/internal/prototest"
	"c100k/internal/wsconn"
	"c100k/netpoll"
	"c100k/netpoll/netpolltest"
)

// stage is a server on one loop over the faked kernel.
type stage struct {
	*prototest.Node
	server *Server
	part   *part
	told   []string // what handlers note
}

const (
	headRole netpoll.Role = iota
	partRole
)

func newStage(t testing.TB, seed uint64, o Options, handlers func(st *stage)) *stage {
	t.Helper()
	st := &stage{server: New(o)}
	if handlers != nil {
		handlers(st)
	}
	heads := &edge.Config{}
	policy, _ := broadcast.ParsePolicy(st.server.opt.SlowConsumer)
	st.Node = prototest.NewNode(t, prototest.Options{
		Seed: seed, Encoders: encoders(), Policy: policy, OutboxBytesMax: st.server.opt.Outbox,
		TopicsPerMemberMax: st.server.opt.TopicsPerConn + 1,
		Handlers: func(n *prototest.Node) (hs [netpoll.RolesMax]netpoll.Handler) {
			st.part = newPart(st.server, 0, seat{role: partRole, shard: n.Shard, counters: &wsconn.Counters{}})
			st.part.edge = heads
			heads.Ask, heads.Resume = st.part.ask, st.part.resume
			heads.Route = func(l *netpoll.Loop, c *netpoll.Conn, h *edge.Head, rest []byte) edge.Decision {
				return st.part.serve(l, c, h, rest, nil)
			}
			hs[headRole], hs[partRole] = edge.NewHeadHandler(heads), st.part
			return hs
		},
		Members: deferred{func() *part { return st.part }},
		OnPanic: func(l *netpoll.Loop, c *netpoll.Conn) {
			if c.Role() == partRole {
				st.part.Panicked(l, c)
			}
		},
	})
	st.part.run(st.Node.Loop.Loop)
	st.server.parts = []*part{st.part}
	st.server.host.Store(&host{publish: st.Hub.PublishPost})
	return st
}

// deferred is the members of a part that is made later.
type deferred struct{ part func() *part }

func (d deferred) MemberPending(l *netpoll.Loop, c *netpoll.Conn) int {
	return d.part().MemberPending(l, c)
}

func (d deferred) MemberSend(l *netpoll.Loop, c *netpoll.Conn, p []byte, mark, n uint32) {
	d.part().MemberSend(l, c, p, mark, n)
}

func (d deferred) MemberDrop(l *netpoll.Loop, c *netpoll.Conn, need int, dropped func(mark, n uint32)) int {
	return d.part().MemberDrop(l, c, need, dropped)
}

func (d deferred) Slow(l *netpoll.Loop, c *netpoll.Conn) { d.part().Slow(l, c) }

func (st *stage) note(s string) { st.told = append(st.told, s) }

const sampleKey = "dGhlIHNhbXBsZSBub25jZQ=="

func handshake(path string, fields ...string) string {
	head := "GET " + path + " HTTP/1.1\r\nHost: example.com\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + sampleKey + "\r\n"
	for _, f := range fields {
		head += f + "\r\n"
	}
	return head + "\r\n"
}

// dial connects a client and reads the answer's head; what follows it stays to be read.
func (st *stage) dial(t testing.TB, fields ...string) (peer *netpolltest.Peer, head string, rest []byte) {
	t.Helper()
	peer = st.Connect(headRole)
	peer.Write([]byte(handshake("/chat?room=a%20b", fields...)))
	st.Settle()
	got := peer.Read()
	at := bytes.Index(got, []byte("\r\n\r\n"))
	if at < 0 {
		t.Fatalf("no answer: %q", got)
	}
	return peer, string(got[:at+4]), got[at+4:]
}

// open is dial for a handshake that must succeed without anything behind the answer.
func (st *stage) openConn(t testing.TB, fields ...string) *netpolltest.Peer {
	t.Helper()
	peer, head, rest := st.dial(t, fields...)
	if !strings.HasPrefix(head, "HTTP/1.1 101 ") || len(rest) > 0 {
		t.Fatalf("answer %q and %q", head, rest)
	}
	return peer
}

func masked(op frame.OpCode, payload string) []byte {
	return frame.AppendMasked(nil, op, true, [4]byte{1, 2, 3, 4}, []byte(payload))
}

func text(s string) string        { return string(frame.AppendFrame(nil, frame.OpText, []byte(s))) }
func binaryFrame(s string) string { return string(frame.AppendFrame(nil, frame.OpBinary, []byte(s))) }

// says writes frames and returns what comes back.
func (st *stage) says(peer *netpolltest.Peer, frames ...[]byte) string {
	for _, f := range frames {
		peer.Write(f)
	}
	st.Settle()
	return string(peer.Read())
}
