// The clients of a node as those who look after it see them: a page of them, or one.

package node

import (
	"context"
	"net/netip"
	"time"

	"c100k/internal/auth"
	"c100k/internal/proto"
	"c100k/internal/trace"
	"c100k/netpoll"
)

// clientSlots bounds the records that a loop looks at for a page of clients in one turn. A turn
// with it takes some hundred microseconds more; without it 100,000 records would be milliseconds in
// which nothing is sent.
const clientSlots = 2048

// Client is a client of a protocol.
type Client struct {
	ID        netpoll.ID
	Transport string
	Who       *auth.Principal // nil: it was not identified
	Addr      netip.Addr      // invalid if it is not known
	Lasted    time.Duration   // how long it has been there
	Behind    int             // bytes that it has been sent and has not taken
	Topics    int             // how many it is subscribed to
}

// Clients selects clients. The zero value selects all.
type Clients struct {
	Sub    string       // the subject of its principal; empty: any
	Topic  string       // it is subscribed to; empty: any
	Addrs  netip.Prefix // invalid: any
	Behind int          // at least so many bytes
	After  netpoll.ID   // those whose ID has a smaller place are left out: see Place
}

// Place orders clients: by loop and by slot, so that a page can begin where the one before ended.
func Place(id netpoll.ID) uint64 { return uint64(id) >> 32 }

// Clients returns the first `most` clients that q selects, by Place. The loops look for them one
// after the other, in parts of a bounded size. The error is ErrBusy, or that of ctx; then the list
// has what was found. Any goroutine but that of a loop.
func (n *Node) Clients(ctx context.Context, q *Clients, most int) (list []Client, err error) {
	for _, r := range n.reactors {
		first := uint32(0)
		if at := n.cfg.LoopBase + r.index; q.After != 0 && at < q.After.Loop() {
			continue
		} else if q.After != 0 && at == q.After.Loop() {
			first = q.After.Slot() + 1
		}
		for next := true; next && len(list) < most; {
			w := walk{reactor: r, q: q, most: most - len(list), next: first, done: make(chan struct{})}
			if !r.loop.Remote().Post(w.look) {
				return list, ErrBusy
			}
			select {
			case <-w.done:
				list, first, next = append(list, w.found...), w.next, w.next != 0
			case <-ctx.Done():
				return list, ctx.Err()
			}
		}
	}
	return list, nil
}

// walk looks at some of the connections of a loop.
type walk struct {
	*reactor
	q     *Clients
	most  int
	next  uint32 // the slot to begin with; then the one to go on with, 0 if there are no more
	found []Client
	done  chan struct{}
}

func (w *walk) look(l *netpoll.Loop) {
	defer close(w.done)
	var last uint32
	next := l.EachFrom(w.next, clientSlots, func(c *netpoll.Conn) {
		if len(w.found) == w.most {
			return
		}
		last = c.Slot()
		if client, ok := w.client(l, c); ok && w.selects(l, c, &client) {
			client.Topics = w.topics(c)
			w.found = append(w.found, client)
		}
	})
	if len(w.found) == w.most {
		next = last + 1
	}
	w.next = next
}

// client is what is known of the client whose name is c; false if c is the name of none.
func (r *reactor) client(l *netpoll.Loop, c *netpoll.Conn) (Client, bool) {
	protocol := r.protocols.At(c.Role())
	if protocol == nil || c.Closing() {
		return Client{}, false
	}
	client := Client{ID: c.ID(), Transport: r.protocols.Transport(c.Role())}
	switch p := protocol.(type) {
	case proto.Clients:
		var ok bool
		if client.Who, ok = p.Client(l, c); !ok {
			return Client{}, false
		}
	case proto.Identified:
		client.Who = p.Who(c)
	}
	var began time.Duration
	if client.Addr, began = r.notes.at(c.Slot()); began != 0 {
		client.Lasted = max(l.Now()-began, 0)
	}
	client.Behind = r.pending(l, c)
	return client, true
}

// pending is how many bytes wait to be sent to the client whose name is c.
func (r *reactor) pending(l *netpoll.Loop, c *netpoll.Conn) int {
	if m := r.protocols.Members(c.Role()); m != nil {
		return m.MemberPending(l, c)
	}
	return c.Pending()
}

func (w *walk) selects(_ *netpoll.Loop, c *netpoll.Conn, client *Client) bool {
	q := w.q
	return client.Behind >= q.Behind &&
		(q.Sub == "" || client.Who != nil && client.Who.Subject == q.Sub) &&
		(!q.Addrs.IsValid() || q.Addrs.Contains(client.Addr)) &&
		(q.Topic == "" || w.shard != nil && w.shard.Subscribed(c.Slot(), q.Topic))
}

func (r *reactor) topics(c *netpoll.Conn) (n int) {
	if r.shard != nil {
		n = r.shard.TopicCount(c.Slot())
	}
	return n
}

// Client is one client, and the first `most` of its topics; false if there is none of that ID. The
// error is ErrBusy. Any goroutine but that of a loop.
func (n *Node) Client(ctx context.Context, id netpoll.ID, most int) (client Client, topics []string, found bool, err error) {
	i := id.Loop() - n.cfg.LoopBase
	if i < 0 || i >= len(n.reactors) {
		return Client{}, nil, false, nil
	}
	r, done := n.reactors[i], make(chan struct{})
	var seen Client
	var there bool
	var names []string
	posted := r.loop.Remote().Post(func(l *netpoll.Loop) {
		defer close(done)
		c := l.Lookup(id)
		if c == nil {
			return
		}
		if seen, there = r.client(l, c); there && r.shard != nil {
			seen.Topics = r.topics(c)
			r.shard.Topics(c.Slot(), func(topic string) {
				if len(names) < most {
					names = append(names, topic)
				}
			})
		}
	})
	if !posted {
		return Client{}, nil, false, ErrBusy
	}
	select {
	case <-done:
		return seen, names, there, nil
	case <-ctx.Done():
		return Client{}, nil, false, ErrBusy
	}
}

// whose is trace.Tap.Who.
func (r *reactor) whose(l *netpoll.Loop, c *netpoll.Conn) (who *auth.Principal, addr netip.Addr) {
	switch p := r.protocols.At(c.Role()).(type) {
	case proto.Clients:
		who, _ = p.Client(l, c)
	case proto.Identified:
		who = p.Who(c)
	}
	addr, _ = r.notes.at(c.Slot())
	return who, addr
}

// ClientAddr is the address of a connection's client, as the first request that brought it to a
// protocol had it; invalid if that was not noted. Loop only.
func (n *Node) ClientAddr(l *netpoll.Loop, c *netpoll.Conn) netip.Addr {
	addr, _ := n.reactors[l.Index()-n.cfg.LoopBase].notes.at(c.Slot())
	return addr
}

// Tap is where the protocols of a loop tell what goes in and out. Loop only.
func (n *Node) Tap(l *netpoll.Loop) *trace.Tap { return &n.reactors[l.Index()-n.cfg.LoopBase].tap }

// tapRetry is how long the end of a trace waits for room in the mailbox of a loop.
const tapRetry = 10 * time.Millisecond

// Trace has all loops tell a trace, until stop is called. began hears of each loop that does; it is
// called on the loops. False: a loop is too busy, and nothing has begun. Any goroutine.
func (n *Node) Trace(t *trace.Trace, began func()) (stop func(), ok bool) {
	for i, r := range n.reactors {
		if !r.loop.Remote().Post(func(*netpoll.Loop) { r.tap.Add(t); began() }) {
			n.untap(n.reactors[:i], t)
			return nil, false
		}
	}
	return func() { n.untap(n.reactors, t) }, true
}

// untap ends a trace on some loops. Where a mailbox is full it tries again, until the node closes.
func (n *Node) untap(from []*reactor, t *trace.Trace) {
	for _, r := range from {
		for !r.loop.Remote().Post(func(*netpoll.Loop) { r.tap.Remove(t) }) {
			select {
			case <-n.done:
				return
			case <-time.After(tapRetry):
			}
		}
	}
}
