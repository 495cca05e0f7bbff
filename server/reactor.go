// One loop of the node with everything that lives on it.

package server

import (
	"runtime"
	"sync/atomic"
	"time"

	"c100k/broadcast"
	"c100k/internal/echo"
	"c100k/internal/edge"
	"c100k/internal/figures"
	"c100k/internal/sse"
	"c100k/internal/topicws"
	"c100k/internal/wsconn"
	"c100k/netpoll"
	"c100k/socketio"
)

// reactor is one loop, its part of the topics, and its protocols.
type reactor struct {
	loop    *netpoll.Loop
	running bool
	shard   *broadcast.Shard
	sink    sink
	topics  *topicws.Handler
	sse     *sse.Handler
	echo    *echo.Echo
	chat    *echo.Broadcast
	sio     *socketio.Reactor // nil without Socket.IO
	edge    *edge.Config
	heads   *edge.HeadHandler

	// Loop only.
	counters wsconn.Counters
	ended    []time.Duration // when the messages were published whose last pass ended in this turn
	drained  int             // streams that were there when the drain began
	topicBuf []string        // the topics of the request in hand
	answer   []byte          // the answer to it

	// Loop writes, any goroutine reads.
	fanout     figures.Histogram
	streams    wsconn.PublishedCounters
	broadcasts atomic.Uint64 // messages of topics handed to members
}

// newReactor makes loop i of s, not yet running.
func (s *Server) newReactor(i int) (*reactor, error) {
	r := &reactor{shard: s.hub.Shard(i)}
	r.makeHandlers(s, i)
	opt := netpoll.Options{
		Index:      s.loopBase() + i,
		Generation: uint32(s.seed >> 32),
		IO:         netpoll.IOMode(s.cfg.IO),
		Deliver:    r.deliver,
		AfterFlush: r.afterFlush,
		OnRelease:  s.released,
		OnPanic:    r.panicked,
		Hold:       hold(s.cfg.Loops),
		Logger:     s.log,
	}
	opt.Handlers[roleHead] = s.headHandler(r)
	opt.Handlers[roleTopics] = &counted{r.topics, &s.transports[transportWebSocket]}
	opt.Handlers[roleEcho] = &counted{r.echo, &s.transports[transportWebSocket]}
	opt.Handlers[roleBroadcast] = &counted{r.chat, &s.transports[transportWebSocket]}
	opt.Handlers[roleSSE] = &counted{r.sse, &s.transports[transportSSE]}
	s.attachSIO(r, i, &opt)
	loop, err := netpoll.NewLoop(opt)
	if err != nil {
		return nil, err
	}
	r.loop, r.sink.loop, r.sink.reactor = loop, loop, r
	if r.sio != nil {
		r.sio.Run(loop)
	}
	return r, nil
}

// deliver is phase 6: acks for publishes that other nodes have counted, and messages.
func (r *reactor) deliver(l *netpoll.Loop, members int) (more bool) {
	r.topics.Acknowledge(l)
	more = r.shard.Deliver(&r.sink, members)
	if r.sio != nil && r.sio.Deliver(l, members) {
		more = true
	}
	return more
}

// hold is how long a loop may keep its processor while it waits: longer where one is left for everybody else.
func hold(loops int) time.Duration {
	if runtime.GOMAXPROCS(0) > loops {
		return netpoll.HoldSpare
	}
	return netpoll.HoldDefault
}

// makeHandlers makes the protocols of loop i.
func (r *reactor) makeHandlers(s *Server, i int) {
	ws := wsconn.Config{
		MessageBytesMax: s.cfg.MaxMessage, OutboxBytesMax: s.cfg.Outbox,
		PingInterval: max(s.cfg.PingInterval, 0), PingTimeout: s.cfg.PingTimeout,
		Rate: s.cfg.Rate, RateBurst: s.cfg.RateBurst,
		Shard: r.shard, Sink: &r.sink, Seed: s.seed + uint64(i), Counters: &r.counters,
	}
	var ask func(string, broadcast.Kind, []byte, func(broadcast.Result)) error
	if s.cfg.Bus != BusMemory {
		ask = s.publishLater
	}
	r.topics = topicws.NewHandler(topicws.Config{
		WebSocket: ws, Publish: s.Publish, Ask: ask, Forms: topicForms,
		MaySubscribe: func(_ *netpoll.Conn, topic string) bool { return s.maySubscribe(topic) },
	})
	r.chat = echo.NewBroadcast(echo.BroadcastConfig{
		WebSocket: ws, Publish: s.Publish, Bare: formBare, BareDeflated: formBareDeflated,
	})
	r.sse = sse.NewHandler(sse.Config{
		Shard: r.shard, Sink: &r.sink, Form: formSSE,
		PingInterval: max(s.cfg.PingInterval, 0), PingTimeout: s.cfg.PingTimeout, Seed: s.seed + uint64(i),
	})
	ws.Shard, ws.Sink = nil, nil
	r.echo = echo.NewEcho(ws)
}

// passed notes that a message's last pass ended here; afterFlush times it.
func (r *reactor) passed(m *broadcast.Message) { r.ended = append(r.ended, m.Published) }

// afterFlush runs when what phase 6 delivered has been written: only then is a fan-out over.
func (r *reactor) afterFlush(*netpoll.Loop) {
	if len(r.ended) > 0 {
		now := netpoll.Monotonic()
		for _, published := range r.ended {
			r.fanout.Observe(now - published)
		}
		r.ended = r.ended[:0]
	}
	r.streams.Publish(&r.counters)
	store(&r.broadcasts, r.sink.sent)
}

// store publishes a figure that only this loop writes. Most turns change nothing, and a load is cheaper than a store.
func store(to *atomic.Uint64, v uint64) {
	if to.Load() != v {
		to.Store(v)
	}
}

// panicked says goodbye to a WebSocket whose handler panicked (RFC 6455, 7.4.1: 1011).
func (r *reactor) panicked(l *netpoll.Loop, c *netpoll.Conn) {
	if e := r.endpoint(c.Role()); e != nil {
		e.End(l, c, netpoll.ReasonPanic, 1011, "internal error")
	}
}

// endpoint is the WebSocket machinery of a role, nil where the role is none.
func (r *reactor) endpoint(role netpoll.Role) *wsconn.Endpoint {
	switch role {
	case roleTopics:
		return r.topics.Endpoint
	case roleEcho:
		return r.echo.Endpoint
	case roleBroadcast:
		return r.chat.Endpoint
	}
	return nil
}
