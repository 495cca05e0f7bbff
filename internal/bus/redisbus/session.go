// One set of connections to Redis.

package redisbus

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"unsafe"

	"github.com/redis/rueidis"
)

// session is one set of connections. Any goroutine.
type session struct {
	client  rueidis.Client          // publishes
	hears   rueidis.DedicatedClient // a connection for what comes
	sharded bool

	lost chan error // gets one error when nothing more will come

	// any goroutine
	dialsHearing atomic.Bool  // what is dialled now is the connection of hears
	incoming     atomic.Int64 // bytes that it has brought since the latest packet was complete
}

// dial opens a connection of the session to addr, as the URL says or over TCP.
func (b *Bus) dial(ctx context.Context, s *session, addr string, d *net.Dialer, secure *tls.Config) (c net.Conn, err error) {
	switch own := b.url.Option.DialCtxFn; {
	case own != nil:
		c, err = own(ctx, addr, d, secure)
	case secure != nil:
		c, err = (&tls.Dialer{NetDialer: d, Config: secure}).DialContext(ctx, "tcp", addr)
	default:
		c, err = d.DialContext(ctx, "tcp", addr)
	}
	if err != nil || !s.dialsHearing.Load() {
		return c, err
	}
	return &hearing{Conn: c, packetMax: int64(b.ReceiveMax()), incoming: &s.incoming, foreign: b.Foreign}, nil
}

// hearing is the connection that hears. It tells the Core of a packet that is larger than any of a
// node while it is still coming in: until it is complete, no probe comes back.
type hearing struct {
	net.Conn
	packetMax int64         // bytes; 0: any
	incoming  *atomic.Int64 // of the session
	foreign   func(bytes int)
}

func (h *hearing) Read(p []byte) (n int, err error) {
	n, err = h.Conn.Read(p)
	if h.incoming.Add(int64(n)) > h.packetMax && h.packetMax > 0 {
		h.foreign(n)
	}
	return n, err
}

// open connects and subscribes; when it returns, Redis has confirmed the subscriptions.
func (b *Bus) open(ctx context.Context) (*session, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s := &session{lost: make(chan error, 1), sharded: b.url.Cluster && !b.plain.Load()}
	option := b.url.Option
	option.DialCtxFn = func(ctx context.Context, addr string, d *net.Dialer, secure *tls.Config) (net.Conn, error) {
		return b.dial(ctx, s, addr, d, secure)
	}
	client, err := rueidis.NewClient(option)
	if err != nil {
		return nil, err
	}
	if b.url.Cluster && client.Mode() != rueidis.ClientModeCluster {
		client.Close()
		return nil, errors.New("the server is no part of a cluster")
	}
	s.client = client
	s.hears, _ = client.Dedicate() // it is closed, not given back
	s.dialsHearing.Store(true)
	err = b.subscribe(ctx, s)
	s.dialsHearing.Store(false)
	if err == nil {
		return s, nil
	}
	s.close()
	// Before Redis 7.0 there is no SSUBSCRIBE.
	var answer *rueidis.RedisError
	if s.sharded && errors.As(err, &answer) && strings.Contains(answer.Error(), "unknown command") {
		b.plain.Store(true)
		return b.open(ctx)
	}
	return nil, err
}

// subscribe subscribes to both channels and waits for the confirmations.
func (b *Bus) subscribe(ctx context.Context, s *session) error {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	confirmed := make(chan struct{}, 2)
	gone := s.hears.SetPubSubHooks(rueidis.PubSubHooks{
		OnMessage: func(m rueidis.PubSubMessage) {
			s.incoming.Store(0)
			b.receive(m.Channel, m.Message)
		},
		OnSubscription: func(p rueidis.PubSubSubscription) {
			if p.Kind != "subscribe" && p.Kind != "ssubscribe" {
				s.lose(errors.New("the subscription was ended by Redis: the slot of the channel moves"))
				return
			}
			select {
			case confirmed <- struct{}{}:
			default:
			}
		},
	})
	if err := s.hears.Do(ctx, s.subscribeTo(b.all, b.own)).Error(); err != nil {
		return fmt.Errorf("subscribe: %w", err)
	}
	for range 2 {
		select {
		case <-confirmed:
		case err := <-gone:
			return fmt.Errorf("subscribe: %w", orLost(err))
		case <-ctx.Done():
			return fmt.Errorf("subscribe: Redis does not confirm it: %w", ctx.Err())
		}
	}
	go func() { s.lose(orLost(<-gone)) }()
	return nil
}

func orLost(err error) error {
	if err == nil {
		return errors.New("closed")
	}
	return err
}

// lose says that the session has ended; the first reason counts.
func (s *session) lose(why error) {
	select {
	case s.lost <- why:
	default:
	}
}

func (s *session) subscribeTo(channels ...string) rueidis.Completed {
	if s.sharded {
		return s.hears.B().Ssubscribe().Channel(channels...).Build()
	}
	return s.hears.B().Subscribe().Channel(channels...).Build()
}

// publish is the command that publishes a packet, which must not change until it is answered.
func (s *session) publish(channel string, packet []byte) rueidis.Completed {
	message := rueidis.BinaryString(packet)
	if s.sharded {
		return s.client.B().Spublish().Channel(channel).Message(message).Build()
	}
	// The channel as a key binds the command to one server of a cluster, which keeps the order.
	return s.client.B().Arbitrary("PUBLISH").Keys(channel).Args(message).Build()
}

// receive passes a packet on to the part of it that the channel means.
func (b *Bus) receive(channel, message string) {
	b.receiving.Lock()
	defer b.receiving.Unlock()
	// rueidis reads each message into memory of its own. A copy would cost as much again.
	packet := unsafe.Slice(unsafe.StringData(message), len(message))
	switch channel {
	case b.all:
		b.Receive(packet)
	case b.own:
		b.ReceiveOwn(packet)
	}
}

// close closes both connections. What waits for an answer gets an error.
func (s *session) close() {
	s.hears.Close()
	s.client.Close()
}
