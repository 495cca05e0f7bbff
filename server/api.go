// The node as the admin API sees it: what can be asked of it, and one reading of all that it
// counts.

package server

import (
	"errors"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"c100k/broadcast"
	"c100k/internal/admin"
	"c100k/internal/auth"
	"c100k/internal/bus"
	"c100k/internal/bus/dial"
	"c100k/internal/edge"
	"c100k/internal/figures"
	"c100k/internal/node"
	"c100k/internal/version"
	"c100k/internal/wsconn"
	"c100k/netpoll"
)

// adminNode is the admin.Node of a Server: a type of its own, so that the API's methods are not the
// Server's.
type adminNode struct{ *Server }

var errDraining = errors.New("draining")

// PublishLater publishes on all nodes.
func (n adminNode) PublishLater(p admin.Publication, done func(admin.Outcome)) error {
	_, err := n.publish(p, done)
	return err
}

// Topics lists topics with subscribers, by name.
func (n adminNode) Topics(prefix, after string, most int) (list []admin.Topic, missing []string) {
	infos := n.node.Hub().Topics(prefix, after, most)
	list = make([]admin.Topic, len(infos))
	for i := range infos {
		list[i] = n.topicOf(&infos[i])
	}
	return list, nil
}

// Busiest lists those with the most subscribers.
func (n adminNode) Busiest(prefix string, most int) (list []admin.Topic, missing []string) {
	infos := n.node.Hub().Busiest(prefix, most)
	list = make([]admin.Topic, len(infos))
	for i := range infos {
		list[i] = n.topicOf(&infos[i])
	}
	return list, nil
}

// Topic is one topic, if it has a subscriber.
func (n adminNode) Topic(name string) (admin.Topic, bool) {
	info, ok := n.node.Hub().Topic(name)
	if !ok {
		return admin.Topic{}, false
	}
	return n.topicOf(&info), true
}

func (n adminNode) topicOf(info *broadcast.TopicInfo) admin.Topic {
	t := admin.Topic{Name: info.Name, Subscribers: info.Members, Transports: map[string]int{}}
	table := n.node.Table()
	for form := range table.Encoders() {
		if members := info.ByForm[form]; members > 0 {
			t.Transports[table.TransportOf(broadcast.Form(form))] += members
		}
	}
	return t
}

// CloseConnection closes the connection, and tells whether there was one.
func (n adminNode) CloseConnection(id netpoll.ID) (found bool, err error) { return n.node.Kick(id) }

// Drain starts a drain and returns at once.
func (n adminNode) Drain() error {
	n.beginDrain()
	return nil
}

// Ready is nil while new connections are wanted. A node that has lost the bus serves those it has,
// but others serve better, unless they have lost it too: Config.ReadyWithoutBus decides.
func (n adminNode) Ready() (remarks []string, err error) {
	if n.draining() {
		return nil, errDraining
	}
	if err := n.node.Stuck(); err != nil {
		return nil, err
	}
	if err := n.memoryReady(); err != nil {
		return nil, err
	}
	if err = n.busReady(); err == nil {
		err = n.past.ready()
	}
	if err != nil && n.cfg.ReadyWithoutBus {
		return []string{err.Error()}, nil
	}
	return nil, err
}

// loop is what the node counts on one loop.
type loop struct {
	// Loop only.
	counters   wsconn.Counters
	sioKept    map[netpoll.ID]*sioClient      // those that can be recovered
	sioClients map[netpoll.ID]*auth.Principal // clients of Socket.IO that are in topics with presence
	ended      []fanout                       // of the messages whose last pass ended in this turn

	// Loop writes, any goroutine reads.
	fanout     figures.Histogram
	streams    wsconn.PublishedCounters
	broadcasts atomic.Uint64 // messages of topics handed to members
	// subscriptions are the topics of all connections of the loop.
	subscriptions atomic.Uint64
	queued        atomic.Uint64 // bytes that clients of Socket.IO who poll have not fetched
}

// fanout is a message on its way to its last socket write.
type fanout struct {
	published time.Duration
	trace     *[16]byte // that it belongs to; nil: none
}

// delivered notes that a message's last pass has ended on loop i; afterFlush takes its time.
func (s *Server) delivered(i int, m *broadcast.Message) {
	s.loops[i].ended = append(s.loops[i].ended, fanout{m.Published, m.Trace})
}

// afterFlush runs when what phase 6 delivered has been written: only then has a fan-out ended.
func (s *Server) afterFlush(i int) {
	r := &s.loops[i]
	if len(r.ended) > 0 {
		now := netpoll.Monotonic()
		for _, e := range r.ended {
			r.fanout.Observe(now - e.published)
			if e.trace != nil {
				r.fanout.Trace(now-e.published, e.trace, s.started.Add(now-s.startedAt))
			}
		}
		r.ended = r.ended[:0]
	}
	r.streams.Publish(&r.counters)
	store(&r.broadcasts, s.node.Sent(i))
	store(&r.subscriptions, uint64(s.node.Hub().Shard(i).Subscriptions()))
	if i < len(s.sioParts) {
		store(&r.queued, uint64(s.sioParts[i].Endpoint().QueuedBytes()))
	}
}

// store publishes a figure that only this loop writes. Most turns change nothing, and a load costs
// less than a store.
func store(to *atomic.Uint64, v uint64) {
	if to.Load() != v {
		to.Store(v)
	}
}

// rejections count refused handshakes by reason. The reasons are a handful of static labels. One
// that was counted before takes no lock, because loops count here too.
type rejections struct{ counts sync.Map } // label to *atomic.Uint64

// begin makes the usual reasons begin at 0: of a series that begins at 1, the rate misses the
// first.
func (r *rejections) begin() {
	for _, reason := range []string{
		edge.RefuseOrigin.Label, edge.RefuseNotUpgrade.Label, edge.RefuseOverCapacity.Label, edge.RefusePerAddr.Label,
		edge.RefuseConnRate.Label, edge.RefuseRate.Label, edge.RefuseMemory.Label, edge.RefuseDraining.Label,
		"bad_request", "bad_handshake", "head_too_large", "bad_topic", "forbidden", "unauthorized",
	} {
		r.counts.Store(reason, new(atomic.Uint64))
	}
}

func (r *rejections) add(reason string) {
	n, ok := r.counts.Load(reason)
	if !ok {
		n, _ = r.counts.LoadOrStore(reason, new(atomic.Uint64))
	}
	n.(*atomic.Uint64).Add(1)
}

func (r *rejections) snapshot() map[string]uint64 {
	counts := map[string]uint64{}
	r.counts.Range(func(reason, n any) bool {
		counts[reason.(string)] = n.(*atomic.Uint64).Load()
		return true
	})
	return counts
}

// Stats reads the node.
func (n adminNode) Stats() *figures.Reading {
	build := version.Get()
	accepted, turnedAway := n.node.Accepted()
	s := figures.Source{
		Version: build.Version, Revision: build.Revision, GoVersion: build.Go,
		Started: n.started, Uptime: time.Since(n.started), IO: n.node.Loop(0).Kernel(), Draining: n.draining(),
		Transports:    n.readTransports(),
		Rejected:      n.rejected.snapshot(),
		Refused:       n.readRefused(),
		Hooks:         n.readHooks(),
		Uncounted:     n.admission.Refused().Uncounted,
		RequestsOpen:  int(n.requests.Load()),
		RequestsMoved: n.movedIn.Load(),
		Memory:        n.readMemory(),
		Accepted:      accepted,
		TurnedAway:    turnedAway,
		Hub:           n.node.Hub().Counters(),
		Stored:        figures.Stored{Accepted: n.stored.accepted.Load(), Failed: n.stored.failed.Load()},
		Topics:        n.node.Hub().TopicCount(),
		MaxConns:      n.maxConns(),
		EndsMissed:    n.ends.missed.Load(),
		Reloads:       n.reloads.Counts(),
		Spans:         figures.ReadSpans(n.spans),
		Bus:           n.readBus(),
		Process:       n.process.Read(),
		Certificates:  Certificates(n.tls.source, n.tls.admin, time.Now()),
	}
	if up := n.upstream; up != nil {
		s.UpstreamAnswers, s.UpstreamTimes, s.Tunnels = up.Answers(), up.Latency(), up.Tunnels()
	}
	if n.sioCluster != nil {
		s.SocketIO = figures.SocketIO(n.sioCluster.Stats())
	}
	if n.secured != nil {
		s.TLSHandshakes, s.TLSFailures = n.secured.figures()
	}
	for i := range n.loops {
		s.Loops = append(s.Loops, n.readLoop(i))
		s.Subscriptions += int(n.loops[i].subscriptions.Load())
	}
	return figures.Read(&s)
}

// maxConns is what the node lets in. A worker leaves it to its parent: the shares of all workers
// are more than the whole.
func (s *Server) maxConns() int {
	if s.cfg.Worker != nil {
		return 0
	}
	return s.cfg.MaxConns
}

// usualEnd holds the reasons that c100k_connections_closed_total has from the beginning, for the
// same reason as rejections.begin.
var usualEnd = [netpoll.ReasonCount]bool{
	netpoll.ReasonPeer: true, netpoll.ReasonReset: true, netpoll.ReasonTimeout: true, netpoll.ReasonProtocol: true,
	netpoll.ReasonPolicy: true, netpoll.ReasonSlow: true, netpoll.ReasonDrain: true, netpoll.ReasonAdmin: true,
}

func (n adminNode) readTransports() map[string]figures.Transport {
	read := map[string]figures.Transport{}
	for _, name := range append([]string{node.TransportHTTP}, n.node.Table().Transports()...) {
		count, closed := n.node.Count(name), map[string]uint64{}
		for reason := range netpoll.Reason(netpoll.ReasonCount) {
			if v := count.ClosedTotal(reason); v > 0 || usualEnd[reason] {
				closed[reason.String()] = v
			}
		}
		// Read after the closed ones, so that no more are closed than were opened.
		read[name] = figures.Transport{Opened: count.OpenedTotal(), Closed: closed}
	}
	return read
}

func (n adminNode) readRefused() map[string]uint64 {
	r := n.admission.Refused()
	return map[string]uint64{"capacity": r.OverCapacity, "address": r.PerAddr, "conn_rate": r.ConnRate, "memory": r.Memory, "unanswered": r.Unanswered}
}

// readMemory reads what is held for clients.
func (n adminNode) readMemory() figures.Memory {
	b := n.budget
	return figures.Memory{HeldBytes: b.Held(), MaxBytes: b.Max(), Short: b.Short(), Shortages: b.Shortages()}
}

// readLoop reads the loop of that index.
func (n adminNode) readLoop(i int) figures.Loop {
	r, loop := &n.loops[i], n.node.Loop(i)
	waiting, held := n.node.Heads(i)
	return figures.Loop{
		Number: n.loopBase() + i, IO: loop.Kernel(), Stats: loop.Stats(),
		RequestsWaiting: waiting, RequestsHeldBytes: held,
		QueuedBytes: int64(r.queued.Load()),
		Streams:     r.streams.Load(), Broadcasts: r.broadcasts.Load(), FanoutTimes: r.fanout.Snapshot(),
	}
}

// ReadNodes reads the figures of all nodes on the bus.
func (n adminNode) ReadNodes(done func(*figures.Nodes)) {
	name, own := bus.NodeName(os.Getpid()), n.Stats()
	if n.others == nil || n.others.figures == nil {
		done(figures.Alone(name, own))
		return
	}
	figures.ReadNodes(n.others.figures, name, own, done)
}

// readBus reads the connection to other nodes.
func (s *Server) readBus() figures.Bus {
	if s.others == nil {
		return figures.Bus{Kind: "memory", Health: bus.Health{Connected: true}}
	}
	return figures.Bus{Kind: dial.Kind(s.cfg.Bus), Health: s.others.bus.Health()}
}
