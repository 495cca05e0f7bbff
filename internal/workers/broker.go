// The broker: a NATS server in the parent that the workers use, and that keeps history for them.

package workers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"c100k/broadcast"
	"c100k/internal/admin"
	"c100k/internal/bus"
	"c100k/internal/history"
	"c100k/internal/history/jetstream"
	"c100k/internal/natsd"
	"c100k/netpoll"
	"c100k/server"
)

// startBroker starts a broker on loopback for a node of that configuration. Its secret is sent to
// the workers over their links.
func startBroker(c *server.Config, log *slog.Logger) (*natsd.Server, error) {
	payload := max(c.MaxMessage, bus.PacketBytesMax) + brokerHeadBytes
	o := natsd.Options{
		Name: "c100k", PayloadBytesMax: payload, PendingBytesMax: max(brokerPendingMin, 4*int64(payload)),
		Label: "bus of the workers", Logger: log,
	}
	start := natsd.Start
	if len(c.History) > 0 {
		start = func(o natsd.Options) (*natsd.Server, error) { return server.StartHistory(c, o) }
	}
	b, err := start(o)
	if err != nil {
		return nil, fmt.Errorf("start the bus of the workers: %w", err)
	}
	return b, nil
}

// durable is server.Worker.Durable.
func (s *Supervisor) durable(c *server.Config) string {
	switch {
	case s.broker == nil || len(c.History) == 0:
		return ""
	case c.HistoryDir == "":
		return history.DurableMemory
	}
	return history.DurableFile
}

// openPast opens the store of history for the API, which the parent answers for all workers.
func (s *Supervisor) openPast(c *server.Config) error {
	rules, err := history.ParseRules(c.History)
	if err != nil || !rules.Any() {
		return err
	}
	o := jetstream.Options{
		URL: s.url, Name: bus.NodeName(os.Getpid()), Credentials: c.BusCreds, Rules: rules, Replicated: s.broker == nil,
		InMemory: s.durable(c) == history.DurableMemory, Owner: s.broker != nil, SyncSubject: c.SyncSubject(), Now: netpoll.Monotonic, Logger: s.log,
	}
	if o.InMemory {
		o.BytesMax = int64(c.Share().HistoryBytes)
	}
	store, err := server.OpenHistory(context.Background(), o)
	if err == nil {
		s.past, s.rules = store, rules
		err = store.Start(context.Background(), nil)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", server.ErrBus, err)
	}
	return nil
}

// publishStored stores a message of a topic with history, from where it comes to all workers, and
// asks those for their counts.
func (f *fleet) publishStored(p *admin.Publication, done func(admin.Outcome)) error {
	return f.s.past.Append(p.Topic, history.Append{
		Post: broadcast.Post{Kind: p.Kind, Payload: p.Payload}, Key: p.Key,
		Done: func(a history.Appended) {
			if a.Err != nil {
				done(admin.Outcome{Err: a.Err})
				return
			}
			here := admin.Outcome{Result: a.Result, Durable: f.s.past.Durable(p.Topic)}
			f.ask(bus.Message{Topic: p.Topic, Kind: server.KindCount}, here, done)
		},
	})
}

// ask sends a message to all workers, and adds to an outcome what they did.
func (f *fleet) ask(m bus.Message, o admin.Outcome, done func(admin.Outcome)) {
	err := f.s.bus.Ask(context.Background(), m, func(a bus.Answer) {
		o.Matched, o.Queued, o.Dropped = a.Matched, a.Queued, a.Dropped
		o.Partial, o.Unreached = a.Silent > 0, a.Silent
		done(o)
	})
	if err != nil {
		o.Partial, o.Unreached = true, f.s.bus.Health().Peers
		done(o)
	}
}

// pageTimeout bounds how long a request of the API waits for the store.
const pageTimeout = 10 * time.Second

// History reads kept messages from the store.
func (f *fleet) History(topic string, after broadcast.Position, most int, reverse bool) (history.Page, error) {
	if f.s.past == nil {
		return history.Page{}, history.ErrNoHistory
	}
	ctx, cancel := context.WithTimeout(context.Background(), pageTimeout)
	defer cancel()
	return f.s.past.Page(ctx, topic, after, most, reverse)
}

// ForgetHistory forgets what is kept of a topic.
func (f *fleet) ForgetHistory(topic string) error {
	if f.s.past == nil {
		return history.ErrNoHistory
	}
	ctx, cancel := context.WithTimeout(context.Background(), pageTimeout)
	defer cancel()
	return f.s.past.Forget(ctx, topic)
}

// closeBus closes the store and the bus.
func (s *Supervisor) closeBus() error {
	var err error
	if s.past != nil {
		err = s.past.Close()
	}
	if s.bus != nil {
		err = errors.Join(err, s.bus.Close())
	}
	for _, n := range []*natsd.Server{s.broker, s.cluster} {
		if n != nil {
			n.Close()
		}
	}
	return err
}
