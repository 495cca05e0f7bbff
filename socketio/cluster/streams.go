// The form of npm @socket.io/redis-streams-adapter: broadcasts are entries of a stream, what is
// answered goes through Pub/Sub.

package cluster

import (
	"context"
	"errors"
	"strconv"
	"time"

	"c100k/internal/siowire"

	"github.com/redis/rueidis"
)

// StreamsOptions configure a cluster over a stream.
type StreamsOptions struct {
	RedisOptions // Key is the prefix of the channels, as the option "channelPrefix" of Node's adapter

	// Stream is the name of the stream, as the option "streamName" of Node's adapter. Default
	// "socket.io".
	Stream string

	// LengthMax is about how many entries the stream keeps, as the option "maxLen". Default 10,000.
	LengthMax int

	// ShardedPubSub sends what is answered through sharded Pub/Sub, as the option "useShardedPubSub".
	// Default false.
	ShardedPubSub bool
}

// Streams joins a cluster in the format of npm @socket.io/redis-streams-adapter, with one stream.
// When the connection to Redis is lost, a server reads what it missed when it is back, as far as
// the stream has it. The error is as that of Redis.
func Streams(ctx context.Context, o StreamsOptions) (*Cluster, error) {
	o.withDefaults()
	if o.Stream == "" {
		o.Stream = "socket.io"
	}
	if o.LengthMax <= 0 {
		o.LengthMax = streamLengthDefault
	}
	f := streams{o.Key, o.Stream, strconv.Itoa(o.LengthMax), o.ShardedPubSub}
	c := newCluster(f, o.Logger, o.RequestTimeout)
	if err := c.connect(ctx, &o.RedisOptions, o.ShardedPubSub); err != nil {
		return nil, err
	}
	r := c.carrier.(*redisCarrier)
	r.running.Add(1)
	go r.readStream(o.Stream)
	return c, nil
}

// streams is the form.
type streams struct {
	key, stream, lengthMax string
	sharded                bool
}

func (streams) uid() string { return randomID() }

func (f streams) channel(nsp string) string { return f.key + "#" + nsp + "#" }

func (f streams) subscriptions(a *adapter) []subscription {
	return []subscription{{name: f.channel(a.nsp)}, {name: f.channel(a.nsp) + a.uid + "#"}}
}

// encode implements form. The channel "" is the stream; its message is the four members of an
// entry.
func (f streams) encode(m *siowire.Message) (channel string, p []byte) {
	switch {
	case m.To != "":
		return f.channel(m.Namespace) + m.To + "#", siowire.AppendClusterMsgpack(nil, m)
	case m.RequestID != "", m.Type == siowire.ServerSideEmit:
		return f.channel(m.Namespace), siowire.AppendClusterMsgpack(nil, m)
	}
	p = appendText(nil, m.UID)
	p = appendText(p, m.Namespace)
	p = appendText(p, strconv.Itoa(int(m.Type)))
	return "", append(p, siowire.StreamData(m)...)
}

// command implements commander.
func (f streams) command(b rueidis.Builder, channel string, p []byte) rueidis.Completed {
	if channel != "" {
		text := rueidis.BinaryString(p)
		if f.sharded {
			return b.Spublish().Channel(channel).Message(text).Build()
		}
		return b.Publish().Channel(channel).Message(text).Build()
	}
	uid, p, _ := readText(p) // encode wrote it
	nsp, p, _ := readText(p)
	kind, p, _ := readText(p)
	return b.Xadd().Key(f.stream).Maxlen().Almost().Threshold(f.lengthMax).Id("*").
		FieldValue().FieldValue("uid", uid).FieldValue("nsp", nsp).FieldValue("type", kind).FieldValue("data", rueidis.BinaryString(p)).Build()
}

func (f streams) decode(a *adapter, _ string, p []byte) (m siowire.Message, ok bool, err error) {
	m, err = siowire.ParseCluster(p)
	return m, m.UID != a.uid && m.Namespace == a.nsp, err
}

func (streams) probe(a *adapter, id string) siowire.Message {
	return siowire.Message{Type: siowire.FetchSockets, UID: a.uid, Namespace: a.nsp, RequestID: id, Rooms: []string{id}}
}

// readStream reads the entries of the stream, from the newest one on that there is now.
func (r *redisCarrier) readStream(stream string) {
	defer r.running.Done()
	last, delay := "", redialMin
	for r.ctx.Err() == nil {
		err := r.readEntries(stream, &last)
		if err == nil || r.ctx.Err() != nil {
			delay = redialMin
			continue
		}
		r.cluster.counters.disconnects.Add(1)
		r.cluster.log.Warn("Socket.IO servers: the stream of Redis cannot be read", "err", err)
		select {
		case <-time.After(delay):
		case <-r.ctx.Done():
		}
		delay = min(2*delay, redialMax)
	}
}

// readEntries waits for entries behind the last one, and carries them out.
func (r *redisCarrier) readEntries(stream string, last *string) error {
	if *last == "" {
		newest, err := r.client.Do(r.ctx, r.client.B().Xrevrange().Key(stream).End("+").Start("-").Count(1).Build()).AsXRange()
		if err != nil {
			return err
		}
		if *last = "0-0"; len(newest) > 0 {
			*last = newest[0].ID
		}
	}
	command := r.client.B().Xread().Count(streamReadMax).Block(streamBlock.Milliseconds()).Streams().Key(stream).Id(*last).Build()
	ctx, cancel := context.WithTimeout(r.ctx, streamBlock+writeTimeout)
	defer cancel()
	got, err := r.client.Do(ctx, command).AsXRead()
	if rueidis.IsRedisNil(err) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, entry := range got[stream] {
		r.cluster.entry(entry.FieldValues)
		*last = entry.ID
	}
	return nil
}

// entry takes an entry of the stream.
func (c *Cluster) entry(members map[string]string) {
	f := c.form.(streams)
	c.mu.RLock()
	a := c.bySub[subscription{name: f.channel(members["nsp"])}]
	c.mu.RUnlock()
	if a == nil || a.closed.Load() || members["uid"] == a.uid {
		return
	}
	m, err := siowire.ParseStream(members["type"], members["uid"], members["nsp"], members["data"])
	if err == nil && m.RequestID != "" {
		err = errStreamRequest
	}
	if err != nil {
		c.refuse(a, err)
		return
	}
	c.counters.received.Add(1)
	a.handle(&m)
}

// errStreamRequest is why an entry is refused that wants an answer: Node's adapter writes none.
var errStreamRequest = errors.New("cluster: a request in a stream")
