// Connections as they are counted for the figures of a process.

package proto

import (
	"sync/atomic"

	"c100k/internal/auth"
	"c100k/netpoll"
)

// Count counts the connections, or clients, of one transport. Any goroutine. Connections come and
// go rarely next to messages, so an atomic addition for each costs little.
type Count struct {
	opened atomic.Uint64
	closed [netpoll.ReasonCount]atomic.Uint64
}

// Opened counts one more.
func (t *Count) Opened() { t.opened.Add(1) }

// Closed counts one that has ended.
func (t *Count) Closed(r netpoll.Reason) { t.closed[r].Add(1) }

// OpenedTotal is how many were opened so far.
func (t *Count) OpenedTotal() uint64 { return t.opened.Load() }

// ClosedTotal is how many have ended for that reason so far.
func (t *Count) ClosedTotal(r netpoll.Reason) uint64 { return t.closed[r].Load() }

// Identified is implemented by a Protocol whose connections have a principal.
type Identified interface {
	// Who is the client of a connection, nil if it was not identified. Loop only.
	Who(c *netpoll.Conn) *auth.Principal
}

// Clients is implemented by a Protocol whose connections are not simply its clients.
type Clients interface {
	// Client tells whether c is the name of a client, and who that is: nil if it was not identified.
	// Loop only.
	Client(l *netpoll.Loop, c *netpoll.Conn) (who *auth.Principal, ok bool)
}

// Ended hears of a connection that ends, before its protocol does: its transport, its client (nil:
// not identified), and why. Loop only; it must not block.
type Ended func(l *netpoll.Loop, c *netpoll.Conn, transport string, who *auth.Principal, r netpoll.Reason)

// counted is a protocol's handler that counts its connections. Calls for each read are passed
// through.
type counted struct {
	netpoll.Handler
	count     *Count
	ended     Ended // nil: nobody hears of ends
	transport string
}

// OnOpen implements netpoll.Handler.
func (h *counted) OnOpen(l *netpoll.Loop, c *netpoll.Conn) {
	h.count.Opened()
	h.Handler.OnOpen(l, c)
}

// OnClose implements netpoll.Handler.
func (h *counted) OnClose(l *netpoll.Loop, c *netpoll.Conn, r netpoll.Reason) {
	h.count.Closed(r)
	if h.ended != nil {
		var who *auth.Principal
		if p, ok := h.Handler.(Identified); ok {
			who = p.Who(c)
		}
		h.ended(l, c, h.transport, who, r)
	}
	h.Handler.OnClose(l, c, r)
}
