// Redis as the carrier: one connection that publishes, and one that receives.

package cluster

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
	"unsafe"

	"c100k/internal/redisurl"
	"c100k/internal/siowire"
	"c100k/socketio"

	"github.com/redis/rueidis"
)

// ErrRedis is wrapped by the error of a Cluster that cannot reach Redis when it is made.
var ErrRedis = errors.New("cluster: cannot reach Redis")

// RedisOptions configure a cluster over Redis.
type RedisOptions struct {
	// URL is where Redis is: redis://USER:PASSWORD@HOST:PORT/DATABASE for one server,
	// redis-sentinel://HOST:PORT,HOST:PORT/MASTER, redis-cluster://HOST:PORT,HOST:PORT, each with
	// rediss for TLS, or unix:///PATH.
	URL string

	// TLS configures connections of rediss://. Nil: certificates are verified by those of the system.
	TLS *tls.Config

	// Key is the prefix of all channels, as the option "key" or "channelPrefix" of Node's adapters.
	// Default "socket.io".
	Key string

	// RequestTimeout is how long other servers have to answer, as the option "requestsTimeout" of
	// Node's adapter. Default 5 s.
	RequestTimeout time.Duration

	// CommonAnswers publishes answers on the channel that all servers read. Default false: on that of
	// the server that asked, as with the option "publishOnSpecificResponseChannel" of Node's adapter.
	// Set it if there are servers with @socket.io/redis-adapter 7 or older, which do not read it. It
	// is for Redis only, and has no effect on the other formats.
	CommonAnswers bool

	// Logger logs lost connections, and at the level of debug messages that were refused. Nil: nothing
	// is logged.
	Logger *slog.Logger
}

func (o *RedisOptions) withDefaults() {
	if o.Key == "" {
		o.Key = "socket.io"
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
}

// Redis joins a cluster in the format of npm @socket.io/redis-adapter (createAdapter). It also
// obeys npm @socket.io/redis-emitter and package emitter. Broadcasts and requests go through Redis
// Pub/Sub. The error wraps ErrRedis if Redis does not answer until ctx ends; later it may be away,
// and is connected to again.
func Redis(ctx context.Context, o RedisOptions) (*Cluster, error) {
	o.withDefaults()
	c := newCluster(classic{siowire.Classic{Key: o.Key}, o.CommonAnswers}, o.Logger, o.RequestTimeout)
	return c, c.connect(ctx, &o, false)
}

// connect makes the carrier.
func (c *Cluster) connect(ctx context.Context, o *RedisOptions, sharded bool) error {
	opt, err := redisurl.Parse(o.URL)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrRedis, err)
	}
	if o.TLS != nil && opt.TLSConfig != nil {
		server := opt.TLSConfig.ServerName
		if opt.TLSConfig = o.TLS.Clone(); opt.TLSConfig.ServerName == "" {
			opt.TLSConfig.ServerName = server
		}
	}
	opt.DisableRetry, opt.ClientName = true, "c100k-socketio"
	opt.Dialer.Timeout, opt.ConnWriteTimeout = dialTimeout, writeTimeout
	opt.Dialer.KeepAlive = time.Second
	client, err := rueidis.NewClient(opt)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrRedis, err)
	}
	if err := client.Do(ctx, client.B().Ping().Build()).Error(); err != nil {
		client.Close()
		return fmt.Errorf("%w: %w", ErrRedis, err)
	}
	r := &redisCarrier{cluster: c, client: client, option: opt, sharded: sharded, wanted: map[subscription]bool{}, changed: make(chan struct{}, 1), written: make(chan struct{})}
	r.spread = client.Mode() == rueidis.ClientModeCluster
	r.ctx, r.end = context.WithCancel(context.Background())
	r.filled.L = &r.outMu
	c.carrier = r
	r.running.Add(2)
	go r.write()
	go newSubscriber(r).run()
	return nil
}

// redisCarrier is the carrier over Redis. Any goroutine.
type redisCarrier struct {
	// Immutable.
	cluster *Cluster
	client  rueidis.Client
	option  rueidis.ClientOption // for connections that receive
	sharded bool                 // channels are those of sharded Pub/Sub
	spread  bool                 // it is a Redis Cluster
	ctx     context.Context
	end     context.CancelFunc
	running sync.WaitGroup
	home    string        // the server of a Redis Cluster that gets what is for no slot; write only
	written chan struct{} // closed when the queue is empty and the carrier stops

	outMu    sync.Mutex // guards the fields below
	filled   sync.Cond
	out      []outgoing
	outBytes int
	stopping bool

	subMu   sync.Mutex // guards the fields below
	wanted  map[subscription]bool
	dirty   []subscription // may differ from what Redis knows
	changed chan struct{}  // there are dirty ones
}

// outgoing is a message in the queue.
type outgoing struct {
	channel string
	p       []byte
	sent    func(receivers int, err error)
	special func(b rueidis.Builder) rueidis.Completed // nil: it is published
}

func (r *redisCarrier) reserve(n int) error {
	r.outMu.Lock()
	defer r.outMu.Unlock()
	switch {
	case r.stopping:
		return socketio.ErrClosed
	case r.outBytes+n+outMessageBytes > outBytesMax:
		return socketio.ErrBusy
	}
	r.outBytes += n + outMessageBytes
	return nil
}

func (r *redisCarrier) unreserve(n int) {
	r.outMu.Lock()
	r.outBytes -= n + outMessageBytes
	r.outMu.Unlock()
}

func (r *redisCarrier) publish(channel string, p []byte, sent func(receivers int, err error)) {
	r.queue(outgoing{channel: channel, p: p, sent: sent})
}

// queue appends a message, for which there is space.
func (r *redisCarrier) queue(o outgoing) {
	r.outMu.Lock()
	stopping := r.stopping
	if !stopping {
		r.out = append(r.out, o)
	}
	r.outMu.Unlock()
	if stopping {
		r.unreserve(len(o.channel) + len(o.p))
		if o.sent != nil {
			o.sent(0, socketio.ErrClosed)
		}
		return
	}
	r.filled.Signal()
}

// next waits for messages; it returns none when the carrier stops and the queue is empty.
func (r *redisCarrier) next(batch []outgoing) []outgoing {
	r.outMu.Lock()
	defer r.outMu.Unlock()
	for len(r.out) == 0 && !r.stopping {
		r.filled.Wait()
	}
	n, size := 0, 0
	for n < len(r.out) && n < batchMax && size < batchBytesMax {
		size += len(r.out[n].p)
		n++
	}
	batch = append(batch[:0], r.out[:n]...)
	if n == len(r.out) {
		clear(r.out)
		r.out = r.out[:0]
	} else {
		clear(r.out[:n])
		r.out = r.out[n:]
	}
	return batch
}

// write publishes what is queued.
func (r *redisCarrier) write() {
	defer r.running.Done()
	defer close(r.written)
	var batch []outgoing
	var commands rueidis.Commands
	for {
		batch = r.next(batch)
		if len(batch) == 0 {
			return
		}
		commands = commands[:0]
		size := 0
		for _, o := range batch {
			commands = append(commands, r.command(o))
			size += len(o.channel) + len(o.p) + outMessageBytes
		}
		ctx, cancel := context.WithTimeout(r.ctx, writeTimeout)
		results := r.do(ctx, commands)
		cancel()
		for i, result := range results {
			n, err := int64(-1), result.Error()
			if err == nil && batch[i].sent != nil && (r.sharded || !r.spread) {
				n, err = result.AsInt64() // a Redis Cluster says how many are at one of its servers
			}
			if err != nil {
				r.cluster.counters.unsent.Add(1)
			} else {
				r.cluster.counters.sent.Add(1)
			}
			if batch[i].sent != nil {
				batch[i].sent(int(n), err)
			}
		}
		clear(batch)
		r.outMu.Lock()
		r.outBytes -= size
		r.outMu.Unlock()
	}
}

// do sends commands. Those that are for no slot of a Redis Cluster go to the same server, one after
// the other: others of them would overtake them on the way.
func (r *redisCarrier) do(ctx context.Context, commands rueidis.Commands) []rueidis.RedisResult {
	if !r.spread {
		return r.client.DoMulti(ctx, commands...)
	}
	results := make([]rueidis.RedisResult, len(commands))
	var kinds [2][]int
	for i, command := range commands {
		kind := 0
		if command.Slot() >= redisSlots {
			kind = 1
		}
		kinds[kind] = append(kinds[kind], i)
	}
	for kind, which := range kinds {
		client := r.client
		if kind == 1 {
			client = r.one()
		}
		var some rueidis.Commands
		for _, i := range which {
			some = append(some, commands[i])
		}
		failed := false
		for k, result := range client.DoMulti(ctx, some...) {
			results[which[k]] = result
			failed = failed || result.NonRedisError() != nil
		}
		if failed && kind == 1 {
			r.home = ""
		}
	}
	return results
}

// one returns the client of one server of a Redis Cluster, the same as long as it answers. The
// goroutine of write only.
func (r *redisCarrier) one() rueidis.Client {
	nodes := r.client.Nodes()
	if nodes[r.home] == nil {
		for r.home = range nodes {
			break
		}
	}
	if c := nodes[r.home]; c != nil {
		return c
	}
	return r.client
}

// commander is a form that does not only publish.
type commander interface {
	command(b rueidis.Builder, channel string, p []byte) rueidis.Completed
}

func (r *redisCarrier) command(o outgoing) rueidis.Completed {
	if o.special != nil {
		return o.special(r.client.B())
	}
	if f, ok := r.cluster.form.(commander); ok {
		return f.command(r.client.B(), o.channel, o.p)
	}
	p := unsafe.String(unsafe.SliceData(o.p), len(o.p)) // nobody changes it any more
	if r.sharded {
		return r.client.B().Spublish().Channel(o.channel).Message(p).Build()
	}
	return r.client.B().Publish().Channel(o.channel).Message(p).Build()
}

func (r *redisCarrier) subscribe(subs []subscription)   { r.want(subs, true) }
func (r *redisCarrier) unsubscribe(subs []subscription) { r.want(subs, false) }

func (r *redisCarrier) want(subs []subscription, yes bool) {
	r.subMu.Lock()
	for _, s := range subs {
		if r.wanted[s] == yes {
			continue
		}
		if yes {
			r.wanted[s] = true
		} else {
			delete(r.wanted, s)
		}
		r.dirty = append(r.dirty, s)
	}
	r.subMu.Unlock()
	select {
	case r.changed <- struct{}{}:
	default:
	}
}

// wants reports whether a subscription is wanted.
func (r *redisCarrier) wants(s subscription) bool {
	r.subMu.Lock()
	defer r.subMu.Unlock()
	return r.wanted[s]
}

// stop implements carrier.
func (r *redisCarrier) stop() {
	r.outMu.Lock()
	r.stopping = true
	r.outMu.Unlock()
	r.filled.Broadcast()
	select {
	case <-r.written:
	case <-time.After(stopTimeout):
	}
	r.end()
	r.running.Wait()
	r.client.Close()
}
