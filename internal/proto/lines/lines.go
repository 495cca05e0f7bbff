// Package lines is a protocol of lines for tests: it shows that a package and one row are enough.
// For tests only.
//
// A request to its path, with the name of a topic as its query, is answered "+NAME\n", NAME being
// the subject of the principal or "-", and begins a stream on the same socket. Each message of the
// topic is a line. What happens to the stream is a line too: "drain", "kick", "slow", "gap TOPIC
// MISSED", "panic". A client that sends "panic\n" makes the handler panic; any other line comes
// back.
package lines

import (
	"bytes"
	"math"
	"strconv"
	"time"

	"c100k/broadcast"
	"c100k/internal/auth"
	"c100k/internal/edge"
	"c100k/internal/proto"
	"c100k/netpoll"
)

// closeLinger is how long a stream waits for its client to close.
const closeLinger = time.Second

// Options change the protocol.
type Options struct {
	Name, Path string // default "lines" and "/lines"

	// AnyPath is that of the row.
	AnyPath bool

	// Ask is that of the part. Its answers are names.
	Ask func(l *netpoll.Loop, c *netpoll.Conn, h *edge.Head, t edge.Ticket)

	// Wait makes each request wait until it is known who the client is.
	Wait bool
}

// Row is the protocol's row.
func Row(o Options) proto.Row {
	if o.Name == "" {
		o.Name, o.Path = "lines", "/lines"
	}
	return proto.Row{
		Name: o.Name, Transport: o.Name, Paths: []string{o.Path}, AnyPath: o.AnyPath,
		Encoders: []broadcast.Encoder{func(dst []byte, m *broadcast.Message) []byte {
			return append(append(dst, m.Payload...), '\n')
		}},
		New: func(p *proto.Place) proto.Part {
			h := &handler{place: *p}
			part := proto.Part{
				Protocols: []proto.Protocol{h},
				Serve: func(l *netpoll.Loop, c *netpoll.Conn, head *edge.Head, rest []byte, who *auth.Principal) edge.Decision {
					if o.Wait && who == nil {
						return edge.Wait
					}
					h.open(l, c, string(head.Query()), who)
					l.Redeliver(c, rest)
					return edge.Handled
				},
			}
			if o.Ask != nil {
				part.Ask = o.Ask
				part.Resume = func(l *netpoll.Loop, c *netpoll.Conn, head *edge.Head, rest []byte, value any) edge.Decision {
					h.open(l, c, string(head.Query()), &auth.Principal{Subject: value.(string)})
					l.Redeliver(c, rest)
					return edge.Handled
				}
			}
			return part
		},
	}
}

type handler struct{ place proto.Place }

func (h *handler) open(l *netpoll.Loop, c *netpoll.Conn, topic string, who *auth.Principal) {
	l.Become(c, h.place.Role)
	name := "-"
	if who != nil {
		name = who.Subject
	}
	l.Send(c, []byte("+"+name+"\n"))
	c.SetSession(h.place.Principals.Add(who))
	if topic != "" && h.place.Shard != nil {
		_, _ = h.place.Shard.Subscribe(c.Slot(), h.place.Form, topic)
	}
}

func (h *handler) OnOpen(*netpoll.Loop, *netpoll.Conn) {}

func (h *handler) OnData(l *netpoll.Loop, c *netpoll.Conn, p []byte) {
	if bytes.Equal(p, []byte("panic\n")) {
		panic("as asked for")
	}
	l.Send(c, p)
}

func (h *handler) OnTimer(*netpoll.Loop, *netpoll.Conn) {}

func (h *handler) OnWritable(_ *netpoll.Loop, c *netpoll.Conn) {
	if h.place.Shard != nil {
		h.place.Shard.Drained(h.place.Sink, c.Slot())
	}
}

func (h *handler) OnClose(_ *netpoll.Loop, c *netpoll.Conn, _ netpoll.Reason) { h.leave(c) }

func (h *handler) leave(c *netpoll.Conn) {
	h.place.Principals.Free(c.Session())
	c.SetSession(0)
	if h.place.Shard != nil {
		h.place.Shard.Leave(c.Slot())
	}
}

// end sends a last line.
func (h *handler) end(l *netpoll.Loop, c *netpoll.Conn, line string, reason netpoll.Reason) {
	if c.Closing() {
		return
	}
	l.Send(c, []byte(line+"\n"))
	h.leave(c)
	l.Finish(c, reason, closeLinger)
}

func (h *handler) Drain(l *netpoll.Loop, c *netpoll.Conn) { h.end(l, c, "drain", netpoll.ReasonDrain) }
func (h *handler) Kick(l *netpoll.Loop, c *netpoll.Conn)  { h.end(l, c, "kick", netpoll.ReasonAdmin) }

func (h *handler) Slow(l *netpoll.Loop, c *netpoll.Conn) {
	l.DropOldest(c, math.MaxInt, func(_, _ uint32) {})
	h.end(l, c, "slow", netpoll.ReasonSlow)
}

func (h *handler) Shed(l *netpoll.Loop, c *netpoll.Conn) { h.end(l, c, "shed", netpoll.ReasonMemory) }

func (h *handler) Panicked(l *netpoll.Loop, c *netpoll.Conn) {
	h.end(l, c, "panic", netpoll.ReasonPanic)
}

func (h *handler) Gap(dst []byte, _ broadcast.Form, topic string, missed uint32) []byte {
	return append(strconv.AppendUint(append(append(append(dst, "gap "...), topic...), ' '), uint64(missed), 10), '\n')
}
