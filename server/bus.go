// The other nodes: what is published here goes to them, and what they publish comes here.

package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"unicode/utf8"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"c100k/broadcast"
	"c100k/internal/admin"
	"c100k/internal/auth"
	"c100k/internal/bus"
	"c100k/internal/bus/dial"
	"c100k/internal/figures"
	"c100k/internal/history"
	"c100k/internal/spans"
	"c100k/internal/topicws"
)

// ErrBus wraps the error of a bus that could not be reached when the node was made.
var ErrBus = errors.New("cannot reach the bus")

// neighbours is the node's connection to the other nodes; without a bus there is none.
type neighbours struct {
	bus      bus.Bus
	channels *bus.Channels // of the parts of the node that talk to their counterparts
	figures  *bus.Channel  // nil in a worker
	leave    context.CancelFunc
	ended    chan struct{} // closed when the last message was received
}

// joinBus joins the bus of the configuration, if it has one, and begins to receive. The
// loops run already.
func (s *Server) joinBus() error {
	if s.cfg.Bus == BusMemory {
		return nil
	}
	b, err := dial.Join(context.Background(), dial.Options{
		URL: s.cfg.Bus, Credentials: s.cfg.BusCreds, Name: bus.NodeName(os.Getpid()), MessageBytesMax: s.cfg.MaxMessage, Logger: s.log,
	})
	if err != nil {
		return fmt.Errorf("%w: %w", ErrBus, err)
	}
	if s.cfg.Worker == nil { // the parent of workers logs for all of them
		b.LogPeers()
	}
	ctx, leave := context.WithCancel(context.Background())
	s.others = &neighbours{bus: b, channels: bus.NewChannels(b), leave: leave, ended: make(chan struct{})}
	if s.cfg.Worker == nil { // the parent of workers answers for all of them
		s.others.figures = figures.Share(s.others.channels, b.Name(), adminNode{s}.Stats)
	}
	go func() {
		defer close(s.others.ended)
		if err := b.Run(ctx, s.hear); err != nil {
			s.log.Error("the bus ended", "err", err)
		}
	}()
	s.askRevocations()
	s.log.Info("on the bus", "url", dial.Redacted(s.cfg.Bus), "peers", b.Health().Peers)
	return nil
}

// leaveBus leaves the bus and waits until nothing is received any more.
func (s *Server) leaveBus() {
	if s.others == nil {
		return
	}
	s.others.leave()
	<-s.others.ended
	s.others.channels.Close()
	if err := s.others.bus.Close(); err != nil {
		s.log.Warn("the bus was not left in order", "err", err)
	}
}

// hear delivers what another node has published. The fan-out of a message is timed from here on:
// clocks of two nodes do not agree.
func (s *Server) hear(m bus.Message) bus.Tally {
	if m.Kind == bus.KindUsers {
		s.hearUsers(m.Payload)
		return bus.Tally{}
	}
	if m.Kind == KindCount {
		info, _ := s.node.Hub().Topic(m.Topic)
		return bus.Tally{Matched: info.Members, Queued: info.Members}
	}
	if m.Kind > bus.KindChannels {
		s.others.channels.Deliver(m)
		return bus.Tally{}
	}
	post, ok := postOf(m)
	if !ok {
		return bus.Tally{} // of a later version: no wire form here can carry it
	}
	post.Relayed = true
	r, err := s.node.Hub().PublishPost(m.Topic, post)
	if err != nil {
		return bus.Tally{}
	}
	return bus.Tally{Matched: r.Matched, Queued: r.Queued, Dropped: r.Dropped}
}

// Publish sends payload to everybody subscribed to topic, on every transport and every node. It
// does not wait: the result counts the subscribers of this node. Where the bus does not take the
// message, it reaches those of this node only, and c100k_bus_unsent_total counts it. The payload is
// kept: nobody may change it after. A Text payload must be valid UTF-8 and a JSON payload one JSON
// value in valid UTF-8: the error wraps ErrPayload if it is not, for it would end the connections
// of subscribers.
func (s *Server) Publish(topic string, kind broadcast.Kind, payload []byte) (broadcast.Result, error) {
	if err := checkPayload(kind, payload); err != nil {
		return broadcast.Result{}, err
	}
	return s.publishChecked(topic, kind, payload)
}

// ErrPayload is wrapped by what Publish and PublishAll return for a payload that is not what its
// kind says.
var ErrPayload = errors.New("payload is not of its kind")

// ErrPartial is wrapped by what PublishAll returns, with its result, where not all nodes were
// reached.
var ErrPartial = errors.New("not all nodes were reached")

func checkPayload(kind broadcast.Kind, payload []byte) error {
	switch {
	case kind != broadcast.Binary && !utf8.Valid(payload):
		return fmt.Errorf("%w: %s has to be valid UTF-8", ErrPayload, kind)
	case kind == broadcast.JSON && !json.Valid(payload):
		return fmt.Errorf("%w: it is not one JSON value", ErrPayload)
	}
	return nil
}

// publishChecked is Publish for payloads that are known to be of their kind.
func (s *Server) publishChecked(topic string, kind broadcast.Kind, payload []byte) (broadcast.Result, error) {
	return s.publishPost(topic, broadcast.Post{Kind: kind, Payload: payload})
}

// kindSigned is added to the kind of a message that says who has published it: its payload begins
// with the length of that, in one byte, and the text.
const kindSigned = 32

// KindTraced is added to the kind of a message that belongs to a trace: its payload begins with the
// id of that, in 16 bytes.
const KindTraced = 16

// onBus is a post for the other nodes.
func onBus(topic string, post *broadcast.Post) bus.Message {
	m := bus.Message{Topic: topic, Kind: uint8(post.Kind), Payload: post.Payload}
	if n := len(post.From); n > 0 {
		m.Kind |= kindSigned
		m.Payload = append(append(append(make([]byte, 0, 1+n+len(post.Payload)), byte(n)), post.From...), post.Payload...)
	}
	if post.Trace != nil {
		m.Kind |= KindTraced
		m.Payload = slices.Concat(post.Trace[:], m.Payload)
	}
	return m
}

// postOf is onBus the other way; ok is false for what is no post.
func postOf(m bus.Message) (post broadcast.Post, ok bool) {
	post = broadcast.Post{Kind: broadcast.Kind(m.Kind &^ (kindSigned | KindTraced)), Payload: m.Payload}
	if m.Kind&KindTraced != 0 {
		if len(post.Payload) < len(post.Trace) {
			return post, false
		}
		id := [len(post.Trace)]byte(post.Payload)
		post.Trace, post.Payload = &id, post.Payload[len(id):]
	}
	if m.Kind&kindSigned != 0 {
		if len(post.Payload) == 0 || len(post.Payload) <= int(post.Payload[0]) {
			return post, false
		}
		n := 1 + int(post.Payload[0])
		post.From, post.Payload = string(post.Payload[1:n]), post.Payload[n:]
	}
	return post, post.Kind <= broadcast.Binary && utf8.ValidString(post.From)
}

// from is what a message of a client says of its publisher: nothing, unless the topic shows who is
// there, and the client was identified.
func (s *Server) from(who *auth.Principal, topic string) string {
	if s.marks == nil || who == nil || !s.marks(topic) {
		return ""
	}
	return who.Subject
}

// publishPost is publishChecked for a post, whose Skip and Extra hold on this node only.
func (s *Server) publishPost(topic string, post broadcast.Post) (broadcast.Result, error) {
	s.tracing.published(topic, post.Payload)
	if s.spans != nil {
		return s.tracePost(topic, post)
	}
	return s.send(topic, post)
}

// tracePost is send, with a span if it gets one.
func (s *Server) tracePost(topic string, post broadcast.Post) (broadcast.Result, error) {
	span := s.spans.Begin("publish", trace.SpanKindProducer, trace.SpanContext{})
	r, err := s.send(topic, post)
	if err != nil {
		span.Fail("refused")
	}
	if span.Traced() {
		span.End(publishAttributes(topic, len(post.Payload), &r)...)
	}
	return r, err
}

// send publishes to this node and the others, without waiting for them.
func (s *Server) send(topic string, post broadcast.Post) (broadcast.Result, error) {
	if s.past.shared(topic) {
		return broadcast.Result{}, s.append(topic, history.Append{Post: post})
	}
	r, err := s.node.Hub().PublishPost(topic, post)
	if err != nil || s.others == nil {
		return r, err
	}
	// The bus counts what it does not take.
	_ = s.others.bus.Publish(context.Background(), onBus(topic, &post))
	return r, nil
}

// PublishAll is Publish, and waits for the other nodes: the result counts the subscribers of all of
// them. A node that does not answer within a second, or that the bus cannot reach, is not counted;
// then the error wraps ErrPartial, and the message may reach that node's subscribers or not. When
// ctx ends earlier, the result counts those of this node and the error is ctx's; the message is on
// its way all the same. Not for event loops.
func (s *Server) PublishAll(ctx context.Context, topic string, kind broadcast.Kind, payload []byte) (broadcast.Result, error) {
	if err := checkPayload(kind, payload); err != nil {
		return broadcast.Result{}, err
	}
	all := make(chan admin.Outcome, 1)
	here, err := s.publish(admin.Publication{Topic: topic, Kind: kind, Payload: payload}, func(o admin.Outcome) { all <- o })
	if err != nil {
		return here, err
	}
	select {
	case o := <-all:
		if o.Err != nil {
			return broadcast.Result{}, o.Err
		}
		if o.Partial {
			return o.Result, fmt.Errorf("%w: %d nodes were not reached", ErrPartial, o.Unreached)
		}
		return o.Result, nil
	case <-ctx.Done():
		return here, ctx.Err()
	}
}

// publishLater is PublishAll for callers that must not wait: done is called once with the result,
// on any goroutine, perhaps before it returns. With an error, done is not called.
func (s *Server) publishLater(topic string, post broadcast.Post, done func(topicws.Published)) error {
	_, err := s.publish(admin.Publication{Topic: topic, Kind: post.Kind, Payload: post.Payload, From: post.From}, func(o admin.Outcome) {
		done(topicws.Published{Result: o.Result, Partial: o.Partial, Unreached: o.Unreached, Err: o.Err})
	})
	return err
}

// publish is publishLater; it returns what this node did, as far as that is known at once.
func (s *Server) publish(p admin.Publication, done func(admin.Outcome)) (here broadcast.Result, err error) {
	s.tracing.published(p.Topic, p.Payload)
	if s.spans != nil {
		span := s.spans.Begin("publish", trace.SpanKindProducer, p.Parent)
		if span.Traced() {
			done = TracePublish(span, p.Topic, len(p.Payload), done)
		}
		if here, err = s.sendLater(p, done); err != nil { // done is not called
			span.Fail("refused")
			span.End()
		}
		return here, err
	}
	return s.sendLater(p, done)
}

// sendLater publishes to this node and the others, and calls done when they have answered.
func (s *Server) sendLater(p admin.Publication, done func(admin.Outcome)) (here broadcast.Result, err error) {
	if s.past.shared(p.Topic) {
		return here, s.publishStored(p, done)
	}
	post := broadcast.Post{Kind: p.Kind, Payload: p.Payload, From: p.From, Trace: p.TraceID()}
	here, err = s.node.Hub().PublishPost(p.Topic, post)
	if err != nil {
		return here, err
	}
	durable := ""
	if here.Position != (broadcast.Position{}) {
		durable = history.DurableMemory
	}
	s.askOthers(onBus(p.Topic, &post), admin.Outcome{Result: here, Durable: durable}, done)
	return here, nil
}

// TracePublish ends a span when a publish is done, and passes the outcome on.
func TracePublish(span *spans.Span, topic string, size int, done func(admin.Outcome)) func(admin.Outcome) {
	return func(o admin.Outcome) {
		switch {
		case o.Err != nil:
			span.Fail("failed")
		case o.Partial:
			span.Fail("partial")
		}
		span.End(publishAttributes(topic, size, &o.Result)...)
		done(o)
	}
}

// publishAttributes are what a span of a publish says, in the words of OpenTelemetry's conventions
// for messaging.
func publishAttributes(topic string, size int, r *broadcast.Result) []attribute.KeyValue {
	return []attribute.KeyValue{
		attribute.String("messaging.system", "c100k"), attribute.String("messaging.operation.type", "send"),
		attribute.String("messaging.destination.name", topic), attribute.Int("messaging.message.body.size", size),
		attribute.Int("c100k.matched", r.Matched), attribute.Int("c100k.queued", r.Queued), attribute.Int("c100k.dropped", r.Dropped),
	}
}

// askOthers sends a message to the other nodes, if there are any, and adds to the outcome of this
// one what they did.
func (s *Server) askOthers(m bus.Message, here admin.Outcome, done func(admin.Outcome)) {
	if s.others == nil {
		done(here)
		return
	}
	err := s.others.bus.Ask(context.Background(), m, func(a bus.Answer) {
		all := here
		all.Matched += a.Matched
		all.Queued += a.Queued
		all.Dropped += a.Dropped
		all.Partial, all.Unreached = a.Silent > 0, a.Silent
		done(all)
	})
	if err != nil {
		// No other node has the message, and the bus has counted it as unsent.
		here.Partial, here.Unreached = true, s.others.bus.Health().Peers
		done(here)
	}
}

// busReady is nil while the node is connected to the others.
func (s *Server) busReady() error {
	if s.others == nil {
		return nil
	}
	if h := s.others.bus.Health(); !h.Connected {
		return fmt.Errorf("bus: %s", h.Reason)
	}
	return nil
}
