// A node's way to the others over Redis.

package redisbus

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"

	"c100k/internal/bus"
	"c100k/internal/jitter"
	"c100k/internal/redisurl"
)

// Options say where the bus is and who joins it.
type Options struct {
	// URL is the server, as package redisurl describes it.
	URL string
	// Name is by what the others know this node, 1 to bus.NameBytesMax bytes; bus.NodeName is one.
	Name string
	// MessageBytesMax is the largest payload that nodes publish, in bytes; larger packets are ignored
	// when they come. Zero: none are.
	MessageBytesMax int
	// Logger gets what happens to the connection. Nil: nothing is logged.
	Logger *slog.Logger
}

// prefixDefault begins the names of channels.
const prefixDefault = "c100k"

// Bus is one node's connection. Make one with Join; all methods may be called on any goroutine.
type Bus struct {
	*bus.Core

	// immutable after Join
	url      *redisurl.URL
	all, own string // channels

	// any goroutine
	session atomic.Pointer[session] // nil while there is none
	plain   atomic.Bool             // the cluster knows no sharded Pub/Sub

	receiving sync.Mutex    // held while a packet is taken apart: sessions follow each other
	again     chan struct{} // holds a token when a new session is wanted
	stop      chan struct{} // closed by Close
	ended     chan struct{} // closed when the goroutine of keep has ended
}

var _ bus.Bus = (*Bus)(nil)

// Join connects a node to the others. It returns when the node hears them, and they have had time
// to say that they are there. It fails if Redis cannot be reached, within ctx or a few seconds;
// later it is tried for ever.
func Join(ctx context.Context, o Options) (*Bus, error) {
	u, err := redisurl.Read(o.URL)
	if err != nil {
		return nil, fmt.Errorf("redisbus: %s: %w", redisurl.Redacted(o.URL), err)
	}
	core, err := bus.NewCore(o.Name, o.MessageBytesMax, o.Logger)
	if err != nil {
		return nil, fmt.Errorf("redisbus: %w", err)
	}
	if u.Prefix == "" {
		u.Prefix = prefixDefault
	}
	channel := fmt.Sprintf("{%s:%d}:", u.Prefix, u.Option.SelectDB)
	b := &Bus{
		Core: core, url: u, all: channel + "all", own: channelOf(channel, core.Node()),
		again: make(chan struct{}, 1), stop: make(chan struct{}), ended: make(chan struct{}),
	}
	configure(&u.Option)
	first, err := b.open(ctx)
	if err != nil {
		return nil, fmt.Errorf("redisbus: connect to %s: %w", redisurl.Redacted(o.URL), err)
	}
	b.session.Store(first)
	go b.keep(first)
	b.Start(carrier{b})
	b.Meet(ctx)
	return b, nil
}

func channelOf(prefix string, id uint64) string { return prefix + "to:" + strconv.FormatUint(id, 16) }

func (b *Bus) channelTo(id uint64) string { return channelOf(b.all[:len(b.all)-len("all")], id) }

// configure sets what the URL does not say.
func configure(o *rueidis.ClientOption) {
	o.ClientName = "c100k"
	o.Dialer.Timeout, o.Dialer.KeepAlive, o.ConnWriteTimeout = dialTimeout, keepAlive, answerTimeout
	o.PipelineMultiplex = -1 // one connection keeps the order of messages
	o.RingScaleEachConn = 8
	o.ReadBufferEachConn, o.WriteBufferEachConn = bufferBytes, bufferBytes
	o.DisableCache, o.DisableRetry = true, true
	o.Sentinel.Dialer, o.Sentinel.ClientName = o.Dialer, o.ClientName
}

// keep makes a new session when one is lost, until Close.
func (b *Bus) keep(s *session) {
	defer close(b.ended)
	for {
		why := ""
		select {
		case err := <-s.lost:
			why = "connection lost: " + err.Error()
		case <-b.again:
			why = "connection dropped, for what this node sends does not come back"
		case <-b.stop:
			b.drop(s)
			return
		}
		b.Disconnected(why)
		b.drop(s)
		if s = b.comeBack(); s == nil {
			return
		}
		b.session.Store(s)
		b.Reconnected()
	}
}

func (b *Bus) drop(s *session) {
	b.session.Store(nil)
	s.close()
}

// comeBack tries for ever to make a session; nil says that the bus is closed.
func (b *Bus) comeBack() *session {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		select {
		case <-b.stop:
			cancel()
		case <-ctx.Done():
		}
	}()
	for attempts := 1; ; attempts++ {
		s, err := b.open(ctx)
		if err == nil {
			select {
			case <-b.again: // meant the one before
			default:
			}
			return s
		}
		b.Disconnected(err.Error())
		select {
		case <-time.After(jitter.Reconnect(attempts, reconnectDelayMax)):
		case <-b.stop:
			return nil
		}
	}
}

// carrier is a Bus as its Core sees it.
type carrier struct{ *Bus }

// Send implements bus.Carrier. All packets are under way before the first answer is waited for.
func (c carrier) Send(packets []bus.Packet) {
	s := c.session.Load()
	if s == nil {
		for i := range packets {
			packets[i].Err = bus.ErrDisconnected
		}
		return
	}
	commands := make([]rueidis.Completed, len(packets))
	for i := range packets {
		channel := c.all
		if to := packets[i].To; to != 0 {
			channel = c.channelTo(to)
		}
		commands[i] = s.publish(channel, packets[i].Bytes)
	}
	ctx, cancel := context.WithTimeout(context.Background(), answerTimeout)
	defer cancel()
	for i, result := range s.client.DoMulti(ctx, commands...) {
		packets[i].Err = result.Error()
	}
}

// Probe implements bus.Carrier.
func (c carrier) Probe(packet []byte) error {
	one := []bus.Packet{{Bytes: packet}}
	c.Send(one)
	return one[0].Err
}

// Flush implements bus.Carrier: Send has waited already.
func (carrier) Flush(time.Duration) {}

// Reconnect implements bus.Carrier.
func (c carrier) Reconnect() {
	select {
	case c.again <- struct{}{}:
	default:
	}
}

// PayloadBytesMax implements bus.Carrier.
func (carrier) PayloadBytesMax() (bytes int, name string) {
	return payloadBytesMax, "proto-max-bulk-len"
}

// Close implements bus.Carrier.
func (c carrier) Close() {
	close(c.stop)
	<-c.ended
}
