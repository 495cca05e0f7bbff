// Requests of Socket.IO clients that arrive at another node than the one that has their session:
// they are passed on to it. So no load balancer has to send a client to the same node each time.

package server

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"hash/fnv"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"c100k/internal/bus"
	"c100k/internal/edge"
	"c100k/internal/engineio"
)

const (
	// announceEvery is how often a node says where it is reached. A node that missed it passes
	// requests on as much later.
	announceEvery = 5 * time.Second

	// forwardDialTimeout bounds connecting to another node. A client waits for it if that node has
	// just died.
	forwardDialTimeout = time.Second

	// forwardIdleMax bounds the idle connections to one other node, and forwardIdleTimeout how long
	// they are kept.
	forwardIdleMax     = 256
	forwardIdleTimeout = time.Minute

	// announcementBytesMax bounds what another node says of itself, and advertiseMax the nodes that
	// are remembered.
	announcementBytesMax = 1 << 10
	advertiseMax         = 1 << 10
)

// forwardHeader has the token of the node that gets a forwarded request. Tokens go over the bus
// only, so a request with one comes from a node of the cluster. It is never passed on again.
const (
	forwardHeader = "C100k-Forward"
	forwardField  = "c100k-forward" // the same, as package edge wants it
)

// sessionUnknown is what Engine.IO answers for a session that there is not.
const sessionUnknown = `{"code":1,"message":"Session ID unknown"}`

// forwarding passes requests on. Any goroutine.
type forwarding struct {
	// Immutable.
	log     *slog.Logger
	own     string // Config.Advertise
	tag     uint16 // in the ids of this node's sessions
	token   string
	channel *bus.Channel
	proxy   *httputil.ReverseProxy

	mu    sync.RWMutex // guards the field below
	nodes map[uint64]announcement
}

// announcement is what a process says of itself.
type announcement struct {
	Advertise string `json:"advertise"`
	Token     string `json:"token"`
	Ask       bool   `json:"ask,omitempty"` // it has just started: the others shall say the same
}

// tagOf returns the tag of the node with that address. It is never 0, which is that of nodes
// without one. Workers of one node have the same.
func tagOf(advertise string) uint16 {
	if advertise == "" {
		return 0
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(advertise)) // never fails
	return uint16(h.Sum32()%0xffff) + 1
}

// validateAdvertise checks where other nodes reach this one.
func (c *Config) validateAdvertise(v *validator) {
	if c.Advertise == "" {
		return
	}
	given := strconv.Quote(c.Advertise)
	u, err := url.Parse(advertised(c.Advertise))
	switch {
	case err != nil || u.Host == "" || u.Port() == "" || u.Hostname() == "" || u.Path != "" || u.RawQuery != "" || u.User != nil || u.Scheme != "http" && u.Scheme != "https":
		v.refuse("Advertise", given, "allowed are HOST:PORT, and https://HOST:PORT if the public port has TLS")
	case c.Cluster == "" && (c.Bus == "" || c.Bus == BusMemory):
		v.refuse("Advertise", given, "there is no Bus or Cluster, over which the nodes tell each other")
	}
}

// advertised returns an address with its scheme.
func advertised(address string) string {
	if strings.Contains(address, "://") {
		return address
	}
	return "http://" + address
}

// startForwarding begins to tell the other nodes where this one is reached.
func (s *Server) startForwarding() {
	if s.cfg.Advertise == "" || s.others == nil || s.sio == nil {
		return
	}
	var token [16]byte
	rand.Read(token[:]) // never fails
	f := &forwarding{log: s.log, own: s.cfg.Advertise, tag: tagOf(s.cfg.Advertise), token: hex.EncodeToString(token[:]), nodes: map[uint64]announcement{}}
	f.proxy = &httputil.ReverseProxy{
		Rewrite:       f.rewrite,
		FlushInterval: -1,
		ErrorHandler:  f.failed,
		ErrorLog:      slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug),
		Transport: &http.Transport{
			DialContext: (&net.Dialer{Timeout: forwardDialTimeout}).DialContext, TLSHandshakeTimeout: forwardDialTimeout,
			MaxIdleConnsPerHost: forwardIdleMax, IdleConnTimeout: forwardIdleTimeout, DisableCompression: true,
		},
	}
	f.channel = s.others.channels.Open(bus.KindForward, f.heard)
	s.forward.Store(f)
	go f.announce(s.stopped)
}

// announce tells the others where this node is reached, until it stops.
func (f *forwarding) announce(stopped <-chan struct{}) {
	tick := time.NewTicker(announceEvery)
	defer tick.Stop()
	for ask := true; ; ask = false {
		p, _ := json.Marshal(announcement{f.own, f.token, ask}) // never fails
		_ = f.channel.Publish(p)                                // the next one may be taken
		select {
		case <-tick.C:
		case <-stopped:
			return
		}
	}
}

// heard takes what another node says of itself.
func (f *forwarding) heard(from uint64, p []byte, _ func([]byte)) {
	var a announcement
	if len(p) > announcementBytesMax || json.Unmarshal(p, &a) != nil || a.Advertise == "" || a.Token == "" {
		return
	}
	if a.Advertise != f.own && tagOf(a.Advertise) == f.tag {
		f.log.Error("two nodes have addresses of --advertise that cannot be told apart in ids of sessions: give one of them another", "address", f.own, "other", a.Advertise)
	}
	f.mu.Lock()
	peers := f.channel.Peers()
	for id := range f.nodes {
		if !slices.ContainsFunc(peers, func(p bus.Peer) bool { return p.ID == id }) {
			delete(f.nodes, id)
		}
	}
	if _, known := f.nodes[from]; known || len(f.nodes) < advertiseMax {
		f.nodes[from] = a
	}
	f.mu.Unlock()
	if a.Ask {
		own, _ := json.Marshal(announcement{Advertise: f.own, Token: f.token}) // never fails
		_ = f.channel.Send(from, own)                                          // it hears the next announcement
	}
}

// target returns the node that has a session; ok is false if it is this one, or one that is not
// there.
func (f *forwarding) target(tag uint16) (a announcement, ok bool) {
	if f == nil || tag == f.tag || tag == 0 {
		return a, false
	}
	f.mu.RLock()
	defer f.mu.RUnlock()
	for id, a := range f.nodes {
		if tagOf(a.Advertise) == tag && slices.ContainsFunc(f.channel.Peers(), func(p bus.Peer) bool { return p.ID == id }) {
			return a, true
		}
	}
	return a, false
}

// trusted reports whether a request comes from a node of the cluster: the token is that of a
// process of this node.
func (f *forwarding) trusted(token string) bool {
	same := func(t string) bool { return subtle.ConstantTimeCompare([]byte(t), []byte(token)) == 1 }
	if same(f.token) {
		return true
	}
	f.mu.RLock()
	defer f.mu.RUnlock()
	for _, a := range f.nodes {
		if a.Advertise == f.own && same(a.Token) {
			return true
		}
	}
	return false
}

// elsewhere reports whether forwardRequest answers a request. Any goroutine.
func (s *Server) elsewhere(h *edge.Head) bool {
	f := s.forward.Load()
	if f == nil {
		return false
	}
	if token, has := h.Get(forwardField); has {
		return !f.trusted(string(token))
	}
	tag, ok := engineio.NodeOf(h.Query())
	if !ok {
		return false
	}
	_, ok = f.target(tag)
	return ok
}

// forwardRequest passes a request on to the node that has its session, and refuses one that only
// looks like one of a node. It reports whether it did.
func (s *Server) forwardRequest(w http.ResponseWriter, r *http.Request) bool {
	f := s.forward.Load()
	if f == nil {
		return false
	}
	if token, has := r.Header[forwardHeader]; has {
		if f.trusted(token[0]) {
			return false // the session is here, or nowhere
		}
		http.Error(w, forwardHeader+" is for the nodes of a cluster", http.StatusForbidden)
		return true
	}
	tag, _ := engineio.NodeOf([]byte(r.URL.RawQuery))
	a, ok := f.target(tag)
	if !ok {
		return false
	}
	// A poll may wait for long: the connection bounds such requests, as it does on event loops.
	slot, _ := r.Context().Value(requestSlotKey{}).(*requestSlot)
	slot.release()
	r.Body = http.MaxBytesReader(w, r.Body, int64(s.cfg.MaxMessage))
	f.proxy.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), forwardKey{}, a)))
	return true
}

type forwardKey struct{}

// rewrite makes the request to the other node.
func (f *forwarding) rewrite(r *httputil.ProxyRequest) {
	a := r.In.Context().Value(forwardKey{}).(announcement)
	u, err := url.Parse(advertised(a.Advertise))
	if err != nil {
		u = &url.URL{Scheme: "http", Host: "invalid"}
	}
	r.Out.URL.Scheme, r.Out.URL.Host = u.Scheme, u.Host
	r.Out.Host = r.In.Host
	r.Out.Header["X-Forwarded-For"] = r.In.Header["X-Forwarded-For"]
	r.SetXForwarded()
	r.Out.Header.Set(forwardHeader, a.Token)
}

// failed answers for a node that cannot be reached as for one that is not there.
func (f *forwarding) failed(w http.ResponseWriter, r *http.Request, err error) {
	a, _ := r.Context().Value(forwardKey{}).(announcement)
	f.log.Debug("a request could not be passed on", "node", a.Advertise, "err", err)
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		w.WriteHeader(http.StatusRequestEntityTooLarge)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusBadRequest)
	_, _ = io.WriteString(w, sessionUnknown) // the client may have gone
}
