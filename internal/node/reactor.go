// One loop of the node with everything that lives on it.

package node

import (
	"runtime"
	"sync/atomic"
	"time"

	"c100k/broadcast"
	"c100k/internal/auth"
	"c100k/internal/edge"
	"c100k/internal/proto"
	"c100k/internal/trace"
	"c100k/netpoll"
)

// reactor is one loop, its part of the topics, and its protocols.
type reactor struct {
	// Immutable once the loop runs.
	loop       *netpoll.Loop
	protocols  *proto.Protocols
	shard      *broadcast.Shard // nil without topics
	sink       sink
	configs    [headRoles]edge.Config
	heads      [headRoles]*edge.HeadHandler
	kept       *edge.KeptHandler
	principals auth.Principals
	before     []func(l *netpoll.Loop)
	deliver    []func(l *netpoll.Loop, members int) (more bool)
	ledger     ledger
	notes      notes
	tap        trace.Tap
	index      int
	noting     bool // Config.Notes

	remote  atomic.Pointer[netpoll.Remote] // nil before the loop is made; any goroutine
	drained int                            // streams that were there when the drain began; loop only
}

// make makes loop i of n, not yet running.
func (r *reactor) make(n *Node, i int) error {
	r.index, r.noting = i, n.cfg.Notes
	opt := netpoll.Options{
		Index:      n.cfg.LoopBase + i,
		Generation: n.cfg.Generation,
		IO:         n.cfg.IO,
		Tick:       tickFor(n.cfg.Shortest),
		Deliver:    r.phaseSix,
		OnRelease:  n.released,
		OnPanic:    r.panicked,
		Hold:       hold(n.cfg.Loops),
		Logger:     n.log,
	}
	if n.cfg.Layer != nil {
		opt.Layer = n.cfg.Layer(i)
		r.ledger.layer, _ = opt.Layer.(proto.Holder)
	}
	opt.AfterFlush = func(l *netpoll.Loop) {
		if f := n.cfg.AfterFlush; f != nil {
			f(i)
		}
		r.keepBudget(n, l)
	}
	place := proto.Place{
		Loop: i, Loops: n.cfg.Loops, Process: n.cfg.Process, Edge: &r.configs[RoleHead], Principals: &r.principals,
		Ended: n.cfg.Ended, Draining: n.Draining, Wake: n.Wake, Move: n.Move, Keep: r.keep,
	}
	r.tap.Who = r.whose
	place.Tap = &r.tap
	if r.noting {
		place.Farewell, place.Inherit = r.farewell, r.inherit
	}
	if n.hub != nil {
		r.shard = n.hub.Shard(i)
		place.Shard, place.Sink = r.shard, &r.sink
	}
	r.makeHeads(n, &opt)
	var err error
	if r.protocols, err = n.table.Make(place, n.counts, &opt.Handlers); err != nil {
		return err
	}
	if r.loop, err = netpoll.NewLoop(opt); err != nil {
		return err
	}
	r.sink.loop, r.sink.protocols, r.sink.reactor = r.loop, r.protocols, r
	r.makeLedger()
	r.remote.Store(r.loop.Remote())
	for row := range n.table.Rows() {
		part := r.protocols.Part(row)
		if part.Made != nil {
			part.Made(r.loop)
		}
		if part.BeforeDeliver != nil {
			r.before = append(r.before, part.BeforeDeliver)
		}
		if part.Deliver != nil {
			r.deliver = append(r.deliver, part.Deliver)
		}
	}
	return nil
}

// makeHeads makes the roles that read a request head, and the one between two of them.
func (r *reactor) makeHeads(n *Node, opt *netpoll.Options) {
	serve := [headRoles]func(*proto.Part) proto.Route{
		RoleHead:     func(p *proto.Part) proto.Route { return p.Serve },
		RoleReturned: func(p *proto.Part) proto.Route { return p.ServeReturned },
		roleMounted:  func(p *proto.Part) proto.Route { return p.Serve },
	}
	for role := range headRoles {
		serve := serve[role]
		r.configs[role] = edge.Config{
			Limits: n.cfg.HeadLimits, Hosts: n.cfg.Hosts, Answer: n.cfg.Answer, Subject: n.cfg.Subject,
			Timeout: n.cfg.HeadTimeout, Fallback: n.fallback, Admission: n.cfg.Admission, Draining: n.Draining, Refused: n.refused,
			Route: func(l *netpoll.Loop, c *netpoll.Conn, h *edge.Head, rest []byte) edge.Decision {
				part := r.partOf(n.table, h)
				if part == nil {
					return edge.NotOurs
				}
				if r.noting {
					r.notes.put(c.Slot(), r.configs[role].ClientAddr(l, c, h), l.Now())
				}
				return serve(part)(l, c, h, rest, nil)
			},
			Ask: func(l *netpoll.Loop, c *netpoll.Conn, h *edge.Head, t edge.Ticket) {
				if part := r.partOf(n.table, h); part.Ask != nil {
					part.Ask(l, c, h, t)
				} else {
					n.cfg.Ask(l, c, h, t)
				}
			},
			Resume: func(l *netpoll.Loop, c *netpoll.Conn, h *edge.Head, rest []byte, value any) edge.Decision {
				part := r.partOf(n.table, h)
				if part.Resume != nil {
					return part.Resume(l, c, h, rest, value)
				}
				who, _ := value.(*auth.Principal)
				return serve(part)(l, c, h, rest, who)
			},
			Abandoned: n.cfg.Abandoned,
		}
		r.heads[role] = edge.NewHeadHandler(&r.configs[role])
		opt.Handlers[role] = r.heads[role]
	}
	r.kept = edge.NewKeptHandler(&r.configs[roleMounted], roleKept)
	opt.Handlers[roleKept] = r.kept
}

// keep is proto.Place.Keep. Protocols are made before the loop runs, and the role is made by then.
func (r *reactor) keep(l *netpoll.Loop, c *netpoll.Conn, m *edge.Mount, early []byte) {
	r.kept.Keep(l, c, m, early)
}

// partOf is the protocol that a request belongs to, nil if it belongs to none. The path is compared
// as it was sent: one with an escaped letter names another resource, and goes to net/http.
func (r *reactor) partOf(t *proto.Table, h *edge.Head) *proto.Part {
	if row, ours := t.ByPath(string(h.Path()), h.UpgradeRequested); ours {
		return r.protocols.Part(row)
	}
	return nil
}

// phaseSix is phase 6 of a turn: what protocols do before, topics, what protocols do behind.
func (r *reactor) phaseSix(l *netpoll.Loop, members int) (more bool) {
	for _, f := range r.before {
		f(l)
	}
	if r.shard != nil {
		more = r.shard.Deliver(&r.sink, members)
	}
	for _, f := range r.deliver {
		if f(l, members) {
			more = true
		}
	}
	return more
}

// panicked lets the protocol of a connection say goodbye after a panic of a handler.
func (r *reactor) panicked(l *netpoll.Loop, c *netpoll.Conn) {
	if p := r.protocols.LastWord(c.Role()); p != nil {
		p.Panicked(l, c)
	}
}

// hold is how long a loop may keep its processor while it waits: longer where another processor is
// free for the rest of the process.
func hold(loops int) time.Duration {
	if runtime.GOMAXPROCS(0) > loops {
		return netpoll.HoldSpare
	}
	return netpoll.HoldDefault
}

// tickFor is the resolution of deadlines for a process whose shortest timeout is d; 0: long ones.
func tickFor(d time.Duration) time.Duration {
	if d <= 0 {
		return netpoll.TickDefault
	}
	return min(max((d/50).Truncate(time.Millisecond), netpoll.TickMin), netpoll.TickDefault)
}

// Shortest is the shortest of timeouts, of which those up to 0 are off; 0 if all are.
func Shortest(timeouts ...time.Duration) (d time.Duration) {
	for _, t := range timeouts {
		if t > 0 && (d == 0 || t < d) {
			d = t
		}
	}
	return d
}
