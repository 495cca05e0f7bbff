// The server: its namespaces, and the loops that it is on.

package socketio

import (
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
// Those that a Namespace has too are those of the namespace "/".
type Server struct {
	// Immutable.
	opt  Options
	root *Namespace

	// Any goroutine.
	host       atomic.Pointer[host]
	standalone standalone // what Handler starts
	connected  atomic.Int64
	topics     atomic.Uint64                    // of namespaces, for their names
	casting    sync.Mutex                       // held while a broadcast is given to the loops, so that all of them have broadcasts in one order
	forms      [engineio.FormCount]atomic.Int64 // clients by wire form

	mu         sync.RWMutex // guards the fields below
	namespaces map[string]*Namespace
	dynamics   []*Dynamic
	onNew      []func(*Namespace)
}

// host is the loops that a server is on.
type host struct{ reactors []*reactor }

// New returns a server. It does nothing until it is mounted: by Handler, or in a node by
// server.Config.SocketIO.
func New(o Options) *Server {
	o.withDefaults()
	io := &Server{opt: o, namespaces: map[string]*Namespace{}}
	io.root = io.newNamespace(rootNamespace, nil)
	io.namespaces[rootNamespace] = io.root
	return io
}

func init() {
	sio.Host = func(server any, n, outboxBytesMax int, wake func(loop int)) (parts []sio.Part) {
		for _, r := range server.(*Server).mount(n, outboxBytesMax, wake) {
			parts = append(parts, r)
		}
		return parts
	}
}

// mount makes the server ready for n loops: see sio.Host.
func (io *Server) mount(n int, outboxBytesMax int, wake func(loop int)) []*reactor {
	h := &host{}
	for i := range n {
		// Each loop has a hub of its own: what is published there is an order of the loop's queue.
		hub := broadcast.NewHub(broadcast.Options{
			Shards: 1, Encoders: encoders(), Wake: func(int) { wake(i) }, OutboxBytesMax: outboxBytesMax,
			TopicsPerMemberMax: NamespacesPerClientMax * (RoomsPerSocketMax + 1),
			Now:                netpoll.Monotonic,
		})
		h.reactors = append(h.reactors, newReactor(io, hub, i))
	}
	if !io.host.CompareAndSwap(nil, h) {
		panic("socketio: this server is mounted already")
	}
	return h.reactors
}

// reactors are those of all loops; none before the server is mounted.
func (io *Server) reactors() []*reactor {
	if h := io.host.Load(); h != nil {
		return h.reactors
	}
	return nil
}

// Of returns the namespace of that name, which is made if it is not there; the name may be given
// without its slash. It panics with a name that no client could ask for: longer than
// NamespaceBytesMax, or with a comma or question mark.
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
	told := io.onNew
	io.mu.Unlock()
	if made {
		for _, f := range told {
			f(nsp)
		}
	}
	return nsp
}

// OfMatch makes namespaces as clients ask for them: each name that match accepts. It is asked on
// the event loop, after the namespaces that there are and the Dynamics made before.
func (io *Server) OfMatch(match func(h *Handshake) bool) *Dynamic {
	d := &Dynamic{server: io, match: match}
	io.mu.Lock()
	io.dynamics = append(io.dynamics, d)
	io.mu.Unlock()
	return d
}

// OfPattern is OfMatch for names that a pattern matches.
func (io *Server) OfPattern(pattern *regexp.Regexp) *Dynamic {
	return io.OfMatch(func(h *Handshake) bool { return pattern.MatchString(h.Namespace()) })
}

// OnNamespace calls f for each namespace that is made from now on.
func (io *Server) OnNamespace(f func(*Namespace)) {
	io.mu.Lock()
	io.onNew = append(io.onNew[:len(io.onNew):len(io.onNew)], f)
	io.mu.Unlock()
}

// find is the namespace that a client asks for, made if a Dynamic says so; why not, otherwise.
func (io *Server) find(h *Handshake) (*Namespace, *Refusal) {
	io.mu.RLock()
	nsp, dynamics := io.namespaces[h.namespace], io.dynamics
	io.mu.RUnlock()
	if nsp != nil {
		return nsp, nil
	}
	for _, d := range dynamics {
		if d.match(h) {
			return io.child(d, h.namespace)
		}
	}
	return nil, errInvalidNamespace
}

// child makes a namespace of a Dynamic.
func (io *Server) child(d *Dynamic, name string) (*Namespace, *Refusal) {
	io.mu.Lock()
	if nsp := io.namespaces[name]; nsp != nil { // another loop was faster
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
	told := io.onNew
	io.mu.Unlock()
	for _, f := range told {
		f(nsp)
	}
	return nsp, nil
}

// forget removes a namespace that a Dynamic has made and that nobody is in any more, if the server
// is to.
func (io *Server) forget(nsp *Namespace) {
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

// Connections is how many clients are connected, whatever namespaces they have joined.
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

// Close disconnects all clients, with reason "server shutting down" and so that they come back,
// closes adapters, and stops what Handler has started, with at most a second for clients to hear of
// it. The loops of a node are the node's to stop. It must not be called on an event loop.
func (io *Server) Close() error {
	for _, r := range io.reactors() {
		_ = r.do(order{run: r.shutDown}) // a loop that has stopped has no clients
	}
	stopped := io.standalone.stop()
	return errors.Join(stopped, io.closeAdapters()) // other servers hear of what disconnect handlers emit
}
