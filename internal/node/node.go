// Package node builds a process that serves protocols: event loops with an acceptor in front of
// them, and a stock net/http server for the requests that belong to no protocol.
//
// There are only a few types. [Config] says what a node is made of, above all its rows of package
// proto: one for each protocol. [Node] is the node: make it with [New], run it with [Node.Start],
// end it with [Node.Close]. Inside, a reactor is one loop with its protocols and its part of the
// topics, and a sink is where that part meets the loop's connections.
//
// What a connection goes through: the acceptor admits it and gives it to the loop with the fewest
// connections (Node.Listen), or net/http gives it up in a handler (Node.Mount, takeover.go). On its
// loop it is a request head (RoleHead) until the head is complete. Then the protocol that the path
// belongs to serves it on the same socket, or it leaves the loop for net/http on the same port,
// which can give it back.
//
// A package that serves clients is put on a node in three ways, all by the same row: package server
// has it in its list of rows; a server of its own calls New with that row and Listen; mounted in a
// program's http.ServeMux it calls New with that row and serves Mount.
//
// Any goroutine may call the methods of Node, except where they take a *netpoll.Loop: those are for
// that loop.
package node

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"c100k/broadcast"
	"c100k/internal/budget"
	"c100k/internal/edge"
	"c100k/internal/proto"
	"c100k/netpoll"
)

// The roles that a node has beside those of its protocols. Those before headRoles read a request
// head.
const (
	RoleHead     netpoll.Role = iota // every connection of the node's port begins with it
	RoleReturned                     // a request that was to be moved to another process, and came back
	roleMounted                      // a request that a program's http.Server has received

	headRoles

	roleKept = headRoles // a connection of a program's http.Server between two requests
	rolesOwn = headRoles + 1
)

// TransportHTTP is the label of connections that net/http serves.
const TransportHTTP = "http"

// Config says what a node is made of. It must not be changed once New has got it.
type Config struct {
	// Rows are the protocols.
	Rows []proto.Row

	// Loops is how many event loops run, 1 to netpoll.LoopsMax. Required.
	Loops int
	// LoopBase is the number of the first one among the loops of all processes.
	LoopBase int
	// Process is this process's number among those that share the port.
	Process uint8
	// Generation is where the generations of connections begin: see netpoll.Options.
	Generation uint32
	// IO chooses how loops read and write. The zero value is netpoll.IOAuto.
	IO netpoll.IOMode
	// Layer makes loop i's layer, which all connections that the node accepts have below their
	// protocols. Nil: they are plain.
	Layer func(loop int) netpoll.Layer
	// LayeredConn makes a net.Conn for net/http of the socket of a connection with that layer, and of
	// what its loop knew of it. It must not wait. Nil without Layer.
	LayeredConn func(socket net.Conn, moved *netpoll.Moved) edge.Layered

	// Topics makes a hub that all protocols share. Its Shards, Encoders, Wake and Now are filled in.
	// Nil: the process has no topics.
	Topics *broadcast.Options
	// AfterFlush runs on loop i behind phase 7: what phase 6 delivered has been written. It may be
	// nil.
	AfterFlush func(loop int)

	// Admission admits connections. Required.
	Admission *edge.Admission
	// ReturnMemory returns memory to the system when many connections have come or gone and it is
	// quiet again.
	ReturnMemory bool
	// Shortest is the shortest of the timeouts that the process is configured with. Deadlines are kept
	// to a fiftieth of it, netpoll.TickMin at best. 0 means that none is shorter than a second.
	Shortest time.Duration
	// Ended hears of each connection of a protocol that ends. It may be nil.
	Ended proto.Ended
	// Notes has the node keep 20 bytes of each connection: where from, and since when. See
	// Node.Ended and Node.Clients.
	Notes bool
	// HeadTimeout is the time from accept to the end of the request head; 0 is edge's default.
	HeadTimeout time.Duration
	// HeadLimits bounds request heads. The zero value is edge's default.
	HeadLimits edge.Limits
	// Hosts are the values of Host that are served. The zero value allows all.
	Hosts edge.HostRules
	// Subject is that of a client's certificate: see edge.Config. It may be nil.
	Subject func(l *netpoll.Loop, c *netpoll.Conn) string
	// Answer may answer a refusal in another form: see edge.Config. It may be nil.
	Answer func(dst []byte, h *edge.Head, r *edge.Refusal) []byte
	// Refused hears of each refused request, on any goroutine. It may be nil.
	Refused func(*edge.Refusal)

	// Ask finds out who a client is whose protocol has answered edge.Wait and has no Ask of its own:
	// the value that it answers the ticket with, on any goroutine, is an *auth.Principal, nil for a
	// client that was not identified. It is called on the loop and must not block. Abandoned hears of
	// tickets that need no answer any more. See edge.Config. Nil: only protocols with an Ask of their
	// own may answer edge.Wait.
	Ask       func(l *netpoll.Loop, c *netpoll.Conn, h *edge.Head, t edge.Ticket)
	Abandoned func(l *netpoll.Loop, t edge.Ticket)

	// HandOver takes a request to another process, as Move does within this one. It runs on the
	// loop. Nil: there is none.
	HandOver func(l *netpoll.Loop, c *netpoll.Conn, process, loop int, first []byte) bool

	// Handler answers the requests on connections of the node's own port that net/http gets and that
	// belong to no protocol. Nil: they are answered 404.
	Handler http.Handler
	// HTTPHeaderTimeout and HTTPIdleTimeout bound a later head on a connection of net/http, and the
	// time between two requests; 0 means no limit.
	HTTPHeaderTimeout, HTTPIdleTimeout time.Duration
	// HTTPBodyTimeout bounds the body of a request to net/http in all; 0 means no limit.
	HTTPBodyTimeout time.Duration

	// Budget is what the node may hold for its clients, and may be shared by several nodes; its wake
	// is to be WakeAll. The node polls it with each look at the loops. Nil: there is none.
	Budget *budget.Budget

	// Alive is called every AliveEvery while all loops run, by a goroutine that has nothing else to
	// do; a loop that is stuck in a call keeps it from being called. It may be nil. AliveEvery is also
	// the time between two looks at the loops; 0 means one second.
	Alive      func()
	AliveEvery time.Duration

	// Logger gets what goes wrong. Nil discards it.
	Logger *slog.Logger
}

// Node is a process's loops, its port and its protocols.
type Node struct {
	// Immutable after New.
	cfg      Config
	log      *slog.Logger
	table    *proto.Table
	hub      *broadcast.Hub // nil without topics
	reactors []*reactor
	acceptor *netpoll.Acceptor
	fallback *edge.Listener
	http     *http.Server
	counts   []*proto.Count // by Table.Transports, and behind them that of TransportHTTP
	crowd    *crowd         // nil without Config.ReturnMemory

	// Any goroutine.
	draining atomic.Bool
	addr     atomic.Pointer[net.Addr] // of the listener

	mu       sync.Mutex // guards the fields below
	listener net.Listener
	watchdog *watchdog // nil before Start
	closed   bool
	served   chan struct{} // closed when the http.Server has ended; nil before Start

	done chan struct{} // closed when Close has ended everything
}

// New makes a node whose loops do not run yet. It must be closed, also if it is never started. The
// error names the row that is wrong, or says what the machine refuses; then nothing is left open.
func New(cfg Config) (*Node, error) {
	n := &Node{cfg: cfg, log: cfg.Logger, done: make(chan struct{})}
	if n.log == nil {
		n.log = slog.New(slog.DiscardHandler)
	}
	var err error
	if n.table, err = proto.NewTable(rolesOwn, cfg.Rows); err != nil {
		return nil, fmt.Errorf("node: %w", err)
	}
	for range len(n.table.Transports()) + 1 {
		n.counts = append(n.counts, new(proto.Count))
	}
	for range cfg.Loops {
		n.reactors = append(n.reactors, new(reactor))
	}
	if cfg.ReturnMemory {
		n.crowd = newCrowd(cfg.Admission.Open)
	}
	n.makeHub()
	n.makeHTTP()
	if err := n.makeLoops(); err != nil {
		n.stopLoops()
		return nil, err
	}
	return n, nil
}

func (n *Node) makeHub() {
	if n.cfg.Topics == nil {
		return
	}
	opt := *n.cfg.Topics
	opt.Shards, opt.Encoders, opt.Wake, opt.Now = n.cfg.Loops, n.table.Encoders(), n.Wake, netpoll.Monotonic
	opt.PersonalForms, opt.EncodedBytesMax = n.table.PersonalForms(), n.table.EncodedBytesMax
	n.hub = broadcast.NewHub(opt)
}

func (n *Node) makeLoops() error {
	loops := make([]*netpoll.Loop, n.cfg.Loops)
	for i, r := range n.reactors {
		if err := r.make(n, i); err != nil {
			return err
		}
		loops[i] = r.loop
	}
	var err error
	n.acceptor, err = netpoll.NewAcceptor(netpoll.AcceptorOptions{
		Loops: loops, Role: RoleHead, Layered: n.cfg.Layer != nil, Admit: n.admit, Discard: n.cfg.Admission.Release,
		Busy: edge.DismissalOf(0), Dismissal: edge.DismissalOf,
		OnExhausted: exhaustionLog(n.log, time.Now),
	})
	return err
}

// exhaustionEvery is how often it is logged, at most, that no connection can be accepted: the
// listener tries again ten times a second.
const exhaustionEvery = 10 * time.Second

// exhaustionLog logs why no connection can be accepted, and how often it was so since the last
// line. One goroutine at a time may call what it returns.
func exhaustionLog(log *slog.Logger, now func() time.Time) func(error) {
	last, count := time.Time{}, 0
	return func(err error) {
		count++
		if t := now(); last.IsZero() || t.Sub(last) >= exhaustionEvery {
			message := "no connection can be accepted; the listener pauses"
			if errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) {
				message = "no descriptor left for a new connection; the listener pauses"
			}
			log.Warn(message, "err", err, "count", count)
			last, count = t, 0
		}
	}
}

// Start runs the loops. With an error nothing runs, and the node has been closed.
func (n *Node) Start() error {
	n.mu.Lock()
	if n.closed {
		n.mu.Unlock()
		return errClosed
	}
	for _, r := range n.reactors {
		r.loop.Remote().Wake() // for what was published to the hub of a protocol before there were loops
		if err := r.loop.Start(); err != nil {
			n.mu.Unlock()
			n.Close()
			return err
		}
	}
	n.startWatchdog()
	n.served = make(chan struct{})
	go n.serve(n.served)
	n.mu.Unlock()
	if n.crowd != nil {
		n.crowd.started()
	}
	return nil
}

var errClosed = errors.New("node: closed")

// serve runs the http.Server until it is closed.
func (n *Node) serve(ended chan struct{}) {
	defer close(ended)
	if err := n.http.Serve(n.fallback); err != nil && !errors.Is(err, http.ErrServerClosed) {
		n.log.Error("HTTP server ended", "port", "public", "err", err)
	}
}

// Listen accepts connections of ln, which the node closes; they inherit their options from it.
// userTimeout is their TCP_USER_TIMEOUT, 0 for the system's. It is called once.
func (n *Node) Listen(ln netpoll.Socket, userTimeout time.Duration) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return errClosed
	}
	if err := n.acceptor.Listen(ln, userTimeout); err != nil {
		return err
	}
	n.listener = ln
	addr := ln.Addr()
	n.addr.Store(&addr)
	return nil
}

// Close ends everything at once, in the order in which things use each other: connections are cut.
// It waits for the end; a second call waits for the first.
func (n *Node) Close() {
	n.draining.Store(true)
	n.mu.Lock()
	if n.closed {
		n.mu.Unlock()
		<-n.done
		return
	}
	n.closed = true
	served, listener, watchdog := n.served, n.listener, n.watchdog
	n.mu.Unlock()
	if listener != nil {
		listener.Close()
	}
	_ = n.acceptor.Close()
	_ = n.http.Close()
	_ = n.fallback.Close() // closed with the server, if that had begun
	if watchdog != nil {
		watchdog.end()
	}
	n.stopLoops()
	if served != nil {
		<-served
	}
	if n.crowd != nil {
		n.crowd.closed.Store(true)
	}
	close(n.done)
}

// stopLoops stops the loops that were made.
func (n *Node) stopLoops() {
	for _, r := range n.reactors {
		if r.loop != nil {
			r.loop.Stop()
		}
	}
}

// admit judges a new connection.
func (n *Node) admit(addr netip.Addr) (tag uint32, ok bool) {
	n.moved()
	return n.cfg.Admission.Admit(addr)
}

// released hears of a connection that has left its loop by closing.
func (n *Node) released(tag uint32, _ netpoll.Reason) {
	n.moved()
	n.cfg.Admission.Release(tag)
}

func (n *Node) moved() {
	if n.crowd != nil {
		n.crowd.moved()
	}
}

func (n *Node) refused(r *edge.Refusal) {
	if n.cfg.Refused != nil {
		n.cfg.Refused(r)
	}
}

// Table is the table of the node's protocols.
func (n *Node) Table() *proto.Table { return n.table }

// Hub is the hub of the topics, nil without Config.Topics.
func (n *Node) Hub() *broadcast.Hub { return n.hub }

// Addr is the address of the node's port, nil without one.
func (n *Node) Addr() net.Addr {
	if addr := n.addr.Load(); addr != nil {
		return *addr
	}
	return nil
}

// Draining tells whether Drain or Close was called: new requests for streams are refused.
func (n *Node) Draining() bool { return n.draining.Load() }

// Connections is how many connections the loops have, those on their way to them included.
func (n *Node) Connections() (open int) {
	for _, r := range n.reactors {
		open += r.loop.Remote().Load()
	}
	return open
}

// Count is the count of a transport: one of Table.Transports, or TransportHTTP.
func (n *Node) Count(transport string) *proto.Count {
	for i, name := range n.table.Transports() {
		if name == transport {
			return n.counts[i]
		}
	}
	return n.counts[len(n.counts)-1]
}

// Heads is how many requests on loop i wait for an answer of Config.Ask, and how many bytes are
// kept of requests that wait or have not arrived whole.
func (n *Node) Heads(i int) (waiting, heldBytes int) {
	for _, h := range n.reactors[i].heads {
		waiting += h.Waiting()
		heldBytes += h.HeldBytes()
	}
	return waiting, heldBytes
}

// Accepted is how many connections were accepted so far, and how many of them were turned away
// because no descriptor was left.
func (n *Node) Accepted() (accepted, turnedAway uint64) {
	return n.acceptor.Accepted(), n.acceptor.TurnedAway()
}

// Loops is how many loops there are.
func (n *Node) Loops() int { return len(n.reactors) }

// Loop is the loop of that index. What of it any goroutine may call are Remote, Stats and Kernel.
func (n *Node) Loop(i int) *netpoll.Loop { return n.reactors[i].loop }

// Shard is the part of the topics that loop i has. Loop only.
func (n *Node) Shard(i int) *broadcast.Shard { return n.hub.Shard(i) }

// Wake makes a turn of loop i run soon.
func (n *Node) Wake(i int) {
	// Before the loop is made there is nobody to wake; Start wakes each once.
	if remote := n.reactors[i].remote.Load(); remote != nil {
		remote.Wake()
	}
}
