// The server: its namespaces, and the loops that it runs on.

package socketio

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"c100k/broadcast"
	"c100k/internal/engineio"
	"c100k/internal/sio"
	"c100k/netpoll"
)

// ErrClosed is returned by calls after Server.Close, or when the event loop of a client has
// stopped.
var ErrClosed = errors.New("socketio: server is closed")

// Server is a Socket.IO server. Make one with New. All methods may be called on any goroutine.
// Methods that Namespace has too are those of the namespace "/".
type Server struct {
	// Immutable.
	opt  Options
	root *Namespace

	// Any goroutine.
	host        atomic.Pointer[host]
	adapters    atomic.Pointer[func(*Local) Adapter] // Options.Adapter, or what a node has set later
	running     context.Context                      // ends with Close
	stop        context.CancelFunc
	standalone  standalone // the node that Handler starts
	connected   atomic.Int64
	topics      atomic.Uint64                    // number of namespaces made, for the names of their topics
	broadcastMu sync.Mutex                       // held while a broadcast is enqueued on the loops, so that all loops have the same order
	forms       [engineio.FormCount]atomic.Int64 // clients by wire form

	mu         sync.RWMutex // guards the fields below
	namespaces map[string]*Namespace
	dynamics   []*Dynamic
	onNew      []func(*Namespace)
}

// host is the loops that a server runs on. Immutable.
type host struct {
	base     int // number of the first one in IDs: other workers of the node have other numbers
	reactors []*reactor
}

// reactorOf returns the reactor of a connection; nil if the connection is of another process.
func (h *host) reactorOf(conn netpoll.ID) *reactor {
	if i := conn.Loop() - h.base; i >= 0 && i < len(h.reactors) {
		return h.reactors[i]
	}
	return nil
}

// New returns a server. It does nothing until it is mounted: by Handler, or in a node by
// server.Config.SocketIO.
func New(o Options) *Server {
	o.withDefaults()
	io := &Server{opt: o, namespaces: map[string]*Namespace{}}
	if o.Adapter != nil {
		io.adapters.Store(&o.Adapter)
	}
	io.running, io.stop = context.WithCancel(context.Background())
	io.root = io.newNamespace(rootNamespace, nil)
	io.namespaces[rootNamespace] = io.root
	return io
}

func init() {
	sio.Host = func(server any, base, n, outboxBytesMax int, wake func(loop int)) (parts []sio.Part) {
		for _, r := range server.(*Server).mount(base, n, outboxBytesMax, wake) {
			parts = append(parts, r)
		}
		return parts
	}
}

// mount makes the reactors of a server for n loops: see sio.Host.
func (io *Server) mount(base, n, outboxBytesMax int, wake func(loop int)) []*reactor {
	h := &host{base: base}
	for i := range n {
		// Each loop has a hub of its own, to which only commands of the loop's queue publish.
		hub := broadcast.NewHub(broadcast.Options{
			Shards: 1, Encoders: encoders(), Wake: func(int) { wake(i) }, OutboxBytesMax: outboxBytesMax,
			TopicsPerMemberMax: NamespacesPerClientMax * (RoomsPerSocketMax + 1),
			Now:                netpoll.Monotonic,
		})
		h.reactors = append(h.reactors, newReactor(io, hub, i, base+i))
	}
	if !io.host.CompareAndSwap(nil, h) {
		panic("socketio: this server is mounted already")
	}
	return h.reactors
}

// reactors returns the reactors of all loops; none before the server is mounted.
func (io *Server) reactors() []*reactor {
	if h := io.host.Load(); h != nil {
		return h.reactors
	}
	return nil
}

// Of returns the namespace of the name, and makes it if it does not exist. The slash at the start
// of the name may be left out. Of panics if no client could ask for the name: it is longer than
// NamespaceBytesMax, or has a comma or question mark.
func (io *Server) Of(name string) *Namespace {
	if !strings.HasPrefix(name, "/") {
		name = "/" + name
	}
	if len(name) > NamespaceBytesMax || strings.ContainsAny(name, ",?") {
		panic("socketio: no namespace can be called " + name)
	}
	io.mu.Lock()
	nsp, made := io.namespaces[name], false
	if nsp == nil {
		nsp, made = io.newNamespace(name, nil), true
		io.namespaces[name] = nsp
	}
	listeners := io.onNew
	io.mu.Unlock()
	if made {
		for _, f := range listeners {
			f(nsp)
		}
	}
	return nsp
}

// OfMatch returns a Dynamic: a client that asks for a namespace that does not exist gets it if
// match returns true. match is called on the event loop, after the matches of earlier Dynamics.
func (io *Server) OfMatch(match func(h *Handshake) bool) *Dynamic {
	d := &Dynamic{server: io, match: match}
	io.mu.Lock()
	io.dynamics = append(io.dynamics, d)
	io.mu.Unlock()
	return d
}

// OfPattern is OfMatch for the names that match a pattern.
func (io *Server) OfPattern(pattern *regexp.Regexp) *Dynamic {
	return io.OfMatch(func(h *Handshake) bool { return pattern.MatchString(h.Namespace()) })
}

// OnNamespace calls f for each namespace that is made from now on.
func (io *Server) OnNamespace(f func(*Namespace)) {
	io.mu.Lock()
	io.onNew = append(io.onNew[:len(io.onNew):len(io.onNew)], f)
	io.mu.Unlock()
}

// find returns the namespace that a client asks for, which a Dynamic may make; or the refusal.
func (io *Server) find(h *Handshake) (*Namespace, *Refusal) {
	io.mu.RLock()
	nsp, dynamics := io.namespaces[h.namespace], io.dynamics
	io.mu.RUnlock()
	if nsp != nil {
		return nsp, nil
	}
	for _, d := range dynamics {
		if d.match(h) {
			return io.addChild(d, h.namespace)
		}
	}
	return nil, errInvalidNamespace
}

// addChild makes a namespace of a Dynamic.
func (io *Server) addChild(d *Dynamic, name string) (*Namespace, *Refusal) {
	io.mu.Lock()
	if nsp := io.namespaces[name]; nsp != nil { // another loop has made it meanwhile
		io.mu.Unlock()
		return nsp, nil
	}
	if len(io.namespaces) >= io.opt.NamespacesMax {
		io.mu.Unlock()
		return nil, errNamespaces
	}
	name = strings.Clone(name)
	nsp := io.newNamespace(name, d)
	io.namespaces[name] = nsp
	listeners := io.onNew
	io.mu.Unlock()
	for _, f := range listeners {
		f(nsp)
	}
	return nsp, nil
}

// removeIfEmpty removes a namespace that a Dynamic has made and that has no sockets, if
// Options.CleanupEmptyNamespaces is set.
func (io *Server) removeIfEmpty(nsp *Namespace) {
	if nsp.parent == nil || !io.opt.CleanupEmptyNamespaces {
		return
	}
	io.mu.Lock()
	removed := nsp.members.Load() == 0 && io.namespaces[nsp.name] == nsp
	if removed {
		delete(io.namespaces, nsp.name)
	}
	io.mu.Unlock()
	if removed {
		if err := nsp.closeAdapter(); err != nil {
			io.opt.Logger.Warn("the adapter of a removed namespace did not close", slog.String("namespace", nsp.name), slog.Any("err", err))
		}
	}
}

// Connections returns the number of connected clients, including those that have not joined a
// namespace.
func (io *Server) Connections() int { return int(io.connected.Load()) }

// closeAdapters closes the adapters of all namespaces.
func (io *Server) closeAdapters() error {
	io.mu.RLock()
	all := slices.Collect(maps.Values(io.namespaces))
	io.mu.RUnlock()
	var errs []error
	for _, nsp := range all {
		errs = append(errs, nsp.closeAdapter())
	}
	return errors.Join(errs...)
}

// Close disconnects all clients with the reason "server shutting down", so that they reconnect. It
// closes the adapters, and stops the loops that Handler has started, after at most a second in
// which clients are notified. It does not stop the loops of a node. It must not be called on an
// event loop.
func (io *Server) Close() error {
	io.stop()
	for _, r := range io.reactors() {
		_ = r.submit(command{run: r.shutDown}) // an error means that the loop has stopped, and has no clients
	}
	stopped := io.standalone.stop()
	return errors.Join(stopped, io.closeAdapters()) // adapters close last, so that disconnect handlers can still emit
}
