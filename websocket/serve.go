// From a request to a connection: what happens on the loop.

package websocket

import (
	"log/slog"
	"net/http"
	"runtime/debug"
	"strconv"

	"c100k/frame"
	"c100k/internal/auth"
	"c100k/internal/edge"
	"c100k/netpoll"
)

// refusalLabel is what a handshake that the program refuses counts as.
const refusalLabel = "application"

// serve decides about a handshake: it is an edge.Config.Route.
func (p *part) serve(l *netpoll.Loop, n *netpoll.Conn, h *edge.Head, rest []byte, who *auth.Principal) edge.Decision {
	refusal := edge.CheckUpgrade(h)
	if refusal == nil {
		refusal = p.server.origins.Check(h)
	}
	var chosen string
	if refusal == nil {
		chosen, refusal = edge.SelectProtocol(h, p.server.opt.Subprotocols)
	}
	if refusal != nil {
		p.edge.Refuse(l, n, h, refusal)
		return edge.Handled
	}
	if !p.edge.AdmitClient(l, n, h) {
		return edge.Handled
	}
	u := &Upgrade{request: &Request{h, p.edge.ClientAddr(l, n, h), who}, chosen: chosen}
	if f := p.server.onUpgrade; f != nil {
		p.judge(f, u)
	}
	if u.settled() == waits {
		p.asked = u
		return edge.Wait
	}
	p.settle(l, n, h, rest, u)
	return edge.Handled
}

// judge calls OnUpgrade. If it panics, the answer is 500.
func (p *part) judge(f func(u *Upgrade), u *Upgrade) {
	defer func() {
		if v := recover(); v != nil {
			p.abandon()
			p.server.opt.Logger.Error("OnUpgrade panicked", slog.Any("panic", v), slog.String("stack", string(debug.Stack())))
			u.mu.Lock()
			u.decision, u.refusal = refused, refusal{http.StatusInternalServerError, "internal error"}
			u.mu.Unlock()
		}
	}()
	p.enter()
	f(u)
	p.exit()
}

// ask is told where the answer about the request that serve has parked goes: an edge.Config.Ask.
func (p *part) ask(_ *netpoll.Loop, _ *netpoll.Conn, _ *edge.Head, t edge.Ticket) {
	u := p.asked
	p.asked = nil
	u.parked(t)
}

// resume goes on with a handshake that has its answer: an edge.Config.Resume.
func (p *part) resume(l *netpoll.Loop, n *netpoll.Conn, h *edge.Head, rest []byte, value any) edge.Decision {
	p.settle(l, n, h, rest, value.(*Upgrade))
	return edge.Handled
}

// settle answers a handshake that is decided.
func (p *part) settle(l *netpoll.Loop, n *netpoll.Conn, h *edge.Head, rest []byte, u *Upgrade) {
	if u.settled() == refused { // and from here on nothing of the answer changes
		p.refuse(l, n, h, u)
		return
	}
	if p.server.begin != nil {
		if refusal := p.server.begin(l, n, p.edge, h, u.request.who); refusal != nil {
			p.edge.Refuse(l, n, h, refusal)
			return
		}
	}
	var extensions []byte
	window := frame.NoWindow
	if p.server.opt.Compress {
		if offers := h.Extensions(); len(offers) > 0 {
			extensions, window = frame.NegotiateDeflate(offers)
		}
	}
	p.frame = h.Mount().Insert(edge.AppendSwitching(p.frame[:0], h.Key(), u.chosen, extensions), 0)
	p.frame = append(append(p.frame[:len(p.frame)-len("\r\n")], u.header...), "\r\n"...)
	l.Send(n, p.frame)
	l.Become(n, p.role)
	p.open(l, n, u, window)
	l.Redeliver(n, rest)
}

// refuse answers a handshake that the program does not want.
func (p *part) refuse(l *netpoll.Loop, n *netpoll.Conn, h *edge.Head, u *Upgrade) {
	if p.edge.Refused != nil {
		p.edge.Refused(&edge.Refusal{Status: u.refusal.status, Label: refusalLabel, Reason: u.refusal.body})
	}
	b := append(p.frame[:0], "HTTP/1.1 "...)
	b = strconv.AppendInt(b, int64(u.refusal.status), 10)
	b = append(append(b, ' '), http.StatusText(u.refusal.status)...)
	b = append(b, "\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\nContent-Length: "...)
	b = append(strconv.AppendInt(b, int64(len(u.refusal.body)), 10), "\r\n"...)
	b = append(append(append(b, u.header...), "\r\n"...), u.refusal.body...)
	b = h.Mount().Insert(b, 0)
	p.frame = b
	l.Send(n, b)
	l.Finish(n, netpoll.ReasonRefused, refusalLinger)
}
