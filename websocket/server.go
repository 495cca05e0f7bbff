// The server: its handlers, and what a program asks of it on any goroutine.

package websocket

import (
	"sync/atomic"

	"c100k/broadcast"
	"c100k/frame"
	"c100k/internal/auth"
	"c100k/internal/edge"
	"c100k/internal/proto"
	"c100k/internal/wsconn"
	"c100k/netpoll"
)

// Server is a WebSocket server. Make one with New, give it its handlers, and then mount it: with
// ServeHTTP in a net/http server, in a process of its own with ListenAndServe, or on a node with
// server.Config.WebSockets. The methods that set a handler must be called before that; all others
// may be called on any goroutine and never block, unless they say so.
type Server struct {
	// immutable once mounted
	opt          Options
	policy       broadcast.Policy
	origins      edge.OriginRules
	onUpgrade    func(u *Upgrade)
	onConnection func(c *Conn, r *Request)
	onMessage    func(c *Conn, m Message)
	onClose      func(c *Conn, code int, reason string)
	onDrain      func(c *Conn)
	onPing       func(c *Conn, data []byte)
	onPong       func(c *Conn, data []byte)
	parts        []*part                         // by loop; made before the loops run
	prefix       string                          // of the hub's names of topics, on a node
	forms        string                          // the row of the node whose wire forms are ours too
	counters     func(loop int) *wsconn.Counters // those of a node
	identify     func(*proto.Place, proto.Route) proto.Part
	begin        func(*netpoll.Loop, *netpoll.Conn, *edge.Config, *edge.Head, *auth.Principal) *edge.Refusal

	// any goroutine
	host       atomic.Pointer[host]
	open       atomic.Int64  // connections
	dropped    atomic.Uint64 // messages that a slow client did not get
	standalone standalone
}

// host is what a mounted server runs on.
type host struct {
	base    int // index of the first loop, as IDs have it
	publish func(topic string, post broadcast.Post) (broadcast.Result, error)
}

// New returns a server. It panics if o is wrong, with a text that names the field.
func New(o Options) *Server {
	o, err := o.withDefaults()
	if err != nil {
		panic(err.Error())
	}
	s := &Server{opt: o}
	s.policy, _ = broadcast.ParsePolicy(o.SlowConsumer) // withDefaults has seen it
	if s.origins, err = edge.ParseOriginRules(o.Origins); err != nil {
		panic("websocket: Options.Origins: " + err.Error())
	}
	return s
}

// OnUpgrade sets the handler that decides about handshakes. It runs on the event loop and must not
// block: Upgrade.Wait leaves the decision to another goroutine. Default: all are accepted.
func (s *Server) OnUpgrade(f func(u *Upgrade)) { s.onUpgrade = f }

// OnConnection sets the handler of new connections. Like all handlers of a connection it runs on
// the event loop and must not block: Conn.Go runs what takes long. A panic ends the connection with
// 1011 and nothing else.
func (s *Server) OnConnection(f func(c *Conn, r *Request)) { s.onConnection = f }

// OnMessage sets the handler of messages.
func (s *Server) OnMessage(f func(c *Conn, m Message)) { s.onMessage = f }

// OnClose sets the handler that hears, once, of the end of each connection. code and reason are
// those of the close frame that ended it, the client's or ours; 1005 if that had no code, 1006 if
// there was none (RFC 6455, 7.1.5).
func (s *Server) OnClose(f func(c *Conn, code int, reason string)) { s.onClose = f }

// OnDrain sets the handler that hears of connections that lagged behind and have caught up.
func (s *Server) OnDrain(f func(c *Conn)) { s.onDrain = f }

// OnPing sets the handler of pings, which the server itself answers. data is valid during the call.
func (s *Server) OnPing(f func(c *Conn, data []byte)) { s.onPing = f }

// OnPong sets the handler of pongs. data is valid during the call.
func (s *Server) OnPong(f func(c *Conn, data []byte)) { s.onPong = f }

// Conns returns how many connections the server has in this process.
func (s *Server) Conns() int { return int(s.open.Load()) }

// Dropped returns how many messages slow clients did not get, by Options.SlowConsumer. Those that
// were published are counted by the node, if the server is on one.
func (s *Server) Dropped() uint64 { return s.dropped.Load() }

// Publish sends a message to all subscribers of a topic, in this process and, on a node, in all
// others of its cluster. The data is copied. The result counts the subscribers in this process; the
// error says what is wrong with the topic's name, or that text is not UTF-8.
func (s *Server) Publish(topic string, m Message) (broadcast.Result, error) {
	if err := s.validTopic(topic); err != nil {
		return broadcast.Result{}, err
	}
	return s.post(topic, postOf(m))
}

// Broadcast sends a message to all connections of the server, as Publish does to those of a topic.
func (s *Server) Broadcast(m Message) (broadcast.Result, error) { return s.post(everybody, postOf(m)) }

// Send sends a message to one connection. The data is copied. A connection that is gone does not
// get it, and that is no error. The errors are ErrBusy and ErrClosed.
func (s *Server) Send(id ID, m Message) error { return s.order(order{id: id, m: m}) }

// SendPrepared sends a message that was encoded before: see Send.
func (s *Server) SendPrepared(id ID, p *Prepared) error { return s.order(order{id: id, prepared: p}) }

// Close ends one connection: see Conn.Close. The errors are those of Send.
func (s *Server) Close(id ID, code int, reason string) error {
	if code == 0 {
		code = int(frame.CodeNoStatus)
	}
	return s.order(order{id: id, code: code, reason: reason})
}

// Do runs f on the loop of one connection, where f may use it. It does nothing if the connection is
// gone by then. The errors are those of Send.
func (s *Server) Do(id ID, f func(c *Conn)) error { return s.order(order{id: id, do: f}) }

func (s *Server) order(o order) error {
	h := s.host.Load()
	if h == nil {
		return ErrClosed
	}
	i := o.id.Loop() - h.base
	if i < 0 || i >= len(s.parts) {
		return nil // it is of another process, or of none
	}
	return s.parts[i].orders.give(o)
}

// Each calls f for every connection in this process, on its event loop: at the same time for
// connections of different loops. Connections that come or go meanwhile may be left out. Each
// returns at once; the errors are those of Send.
func (s *Server) Each(f func(c *Conn)) error {
	if s.host.Load() == nil {
		return ErrClosed
	}
	for _, p := range s.parts {
		if err := p.orders.give(order{each: f}); err != nil {
			return err
		}
	}
	return nil
}
