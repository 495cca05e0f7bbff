// The form of npm @socket.io/redis-streams-adapter: broadcasts are entries of a stream, what is
// answered goes through Pub/Sub.

package cluster

import (
	"context"
	"errors"
	"strconv"
	"sync/atomic"
	"time"
	"unicode/utf16"

	"c100k/internal/sio"
	"c100k/internal/siowire"

	"github.com/redis/rueidis"
)

// StreamsOptions configure a cluster over streams.
type StreamsOptions struct {
	RedisOptions // Key is the prefix of the channels, as the option "channelPrefix" of Node's adapter

	// Stream is the name of the stream, as the option "streamName" of Node's adapter. Default
	// "socket.io".
	Stream string

	// Count is the number of streams, as the option "streamCount": each namespace has one of them,
	// and their names end in -0, -1 and so on. In a Redis Cluster they are on different masters.
	// Default 1: one stream with the name.
	Count int

	// LengthMax is about how many entries a stream keeps, as the option "maxLen". Default 10,000.
	LengthMax int

	// SessionKey is the prefix of the keys of sessions, as the option "sessionKeyPrefix". Default
	// "sio:session:".
	SessionKey string

	// ShardedPubSub sends what is answered through sharded Pub/Sub, as the option
	// "useShardedPubSub". Default false.
	ShardedPubSub bool
}

// Streams joins a cluster in the format of npm @socket.io/redis-streams-adapter. When the
// connection to Redis is lost, a server reads what it missed when it is back, as far as the stream
// has it.
//
// With socketio.Options.Recovery, a client may come back to any server of the cluster, those of
// Node with connectionStateRecovery included. Then events, and calls that change rooms or
// disconnect, take effect when they come back from Redis, in the same order on all servers. The
// error is as that of Redis, or names a number of streams that cannot be.
func Streams(ctx context.Context, o StreamsOptions) (*Cluster, error) {
	o.withDefaults()
	if o.Stream == "" {
		o.Stream = "socket.io"
	}
	if o.LengthMax <= 0 {
		o.LengthMax = streamLengthDefault
	}
	if o.SessionKey == "" {
		o.SessionKey = "sio:session:"
	}
	if o.Count < 0 || o.Count > streamsMax {
		return nil, errors.New("cluster: " + strconv.Itoa(o.Count) + " streams: allowed are 1 to " + strconv.Itoa(streamsMax))
	}
	f := streams{o.Key, o.SessionKey, strconv.Itoa(o.LengthMax), o.Stream, max(o.Count, 1), o.ShardedPubSub, map[string]*streamReader{}}
	for _, name := range f.names() {
		f.readers[name] = &streamReader{name: name}
	}
	c := newCluster(f, o.Logger, o.RequestTimeout)
	if err := c.connect(ctx, &o.RedisOptions, o.ShardedPubSub); err != nil {
		return nil, err
	}
	r := c.carrier.(*redisCarrier)
	for _, s := range f.readers {
		if err := s.begin(ctx, r); err != nil {
			_ = c.Close() // always nil
			return nil, errors.Join(ErrRedis, err)
		}
	}
	for _, s := range f.readers {
		r.running.Add(1)
		go s.run(r)
	}
	return c, nil
}

// streams is the form.
type streams struct {
	key, sessionKey, lengthMax string
	stream                     string
	count                      int
	sharded                    bool
	readers                    map[string]*streamReader // by the name of the stream
}

// names returns the names of all streams. Node's adapter gives some namespaces a stream with a
// negative number, which its servers do not read.
func (f streams) names() []string {
	if f.count == 1 {
		return []string{f.stream}
	}
	var list []string
	for i := 1 - f.count; i < f.count; i++ {
		list = append(list, f.stream+"-"+strconv.Itoa(i))
	}
	return list
}

// streamOf returns the name of the stream of a namespace.
func (f streams) streamOf(nsp string) string {
	if f.count == 1 {
		return f.stream
	}
	var hash int32 // as that of Java and of Node's adapter
	for _, unit := range utf16.Encode([]rune(nsp)) {
		hash = hash*31 + int32(unit)
	}
	return f.stream + "-" + strconv.Itoa(int(hash)%f.count)
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
	return b.Xadd().Key(f.streamOf(nsp)).Maxlen().Almost().Threshold(f.lengthMax).Id("*").
		FieldValue().FieldValue("uid", uid).FieldValue("nsp", nsp).FieldValue("type", kind).FieldValue("data", rueidis.BinaryString(p)).Build()
}

func (f streams) decode(a *adapter, _ string, p []byte) (m siowire.Message, ok bool, err error) {
	m, err = siowire.ParseCluster(p)
	return m, m.UID != a.uid && m.Namespace == a.nsp, err
}

func (streams) probe(a *adapter, id string) siowire.Message {
	return siowire.Message{Type: siowire.FetchSockets, UID: a.uid, Namespace: a.nsp, RequestID: id, Rooms: []string{id}}
}

// streamReader reads a stream from the newest entry on that there is when it begins.
type streamReader struct {
	name  string
	last  string // the id of the last entry that was read; its goroutine only
	check bool   // whether entries may have been removed before they were read; its goroutine only

	reached atomic.Uint64 // the number of the last entry that was looked at; stored under the mu of the cluster
}

// begin finds the newest entry.
func (s *streamReader) begin(ctx context.Context, r *redisCarrier) error {
	newest, err := r.client.Do(ctx, r.client.B().Xrevrange().Key(s.name).End("+").Start("-").Count(1).Build()).AsXRange()
	if err != nil {
		return err
	}
	if s.last = "0-0"; len(newest) > 0 {
		s.last = newest[0].ID
	}
	number, _ := sio.ParseOffset(s.last)
	s.reached.Store(number)
	return nil
}

// run reads until the carrier ends.
func (s *streamReader) run(r *redisCarrier) {
	defer r.running.Done()
	delay := redialMin
	for r.ctx.Err() == nil {
		err := s.read(r)
		if err == nil || r.ctx.Err() != nil {
			delay = redialMin
			continue
		}
		s.check = true
		r.cluster.counters.disconnects.Add(1)
		r.cluster.log.Warn("Socket.IO servers: the stream of Redis cannot be read", "stream", s.name, "err", err)
		select {
		case <-time.After(delay):
		case <-r.ctx.Done():
		}
		delay = min(2*delay, redialMax)
	}
}

// read waits for entries behind the last one, and carries them out.
func (s *streamReader) read(r *redisCarrier) error {
	ctx, cancel := context.WithTimeout(r.ctx, streamBlock+writeTimeout)
	defer cancel()
	command := r.client.B().Xread().Count(streamReadMax).Block(streamBlock.Milliseconds()).Streams().Key(s.name).Id(s.last).Build()
	got, err := r.client.Do(ctx, command).AsXRead()
	if err != nil && !rueidis.IsRedisNil(err) {
		return err
	}
	entries := got[s.name]
	if s.check || len(entries) == streamReadMax {
		if err := s.checkLast(ctx, r); err != nil {
			return err
		}
	}
	for _, entry := range entries {
		r.cluster.entry(s, entry)
		s.last = entry.ID
	}
	return nil
}

// checkLast finds out whether the last entry that was read is still there. Otherwise others behind
// it may have been removed too.
func (s *streamReader) checkLast(ctx context.Context, r *redisCarrier) error {
	there, err := r.client.Do(ctx, r.client.B().Xrange().Key(s.name).Start(s.last).End(s.last).Build()).AsXRange()
	if err != nil {
		return err
	}
	if s.check = false; len(there) == 0 && s.last != "0-0" {
		r.cluster.log.Warn("Socket.IO servers: entries of a stream may have been removed before they were read", "stream", s.name)
		r.cluster.entriesLost(s)
	}
	return nil
}

// entry takes an entry of a stream.
func (c *Cluster) entry(s *streamReader, e rueidis.XRangeEntry) {
	f, members := c.form.(streams), e.FieldValues
	number, countable := sio.ParseOffset(e.ID)
	c.mu.RLock()
	if countable {
		s.reached.Store(number)
	}
	a := c.bySub[subscription{name: f.channel(members["nsp"])}]
	echoes := a != nil && a.echoes.Load()
	c.mu.RUnlock()
	if a == nil || a.closed.Load() || f.streamOf(a.nsp) != s.name || members["uid"] == a.uid && !echoes {
		return
	}
	if !echoes {
		number = 0
	} else if !countable {
		(*a.log.lost.Load())() // clients cannot be recovered behind an entry of another era
	}
	m, err := siowire.ParseStream(members["type"], members["uid"], members["nsp"], members["data"])
	if err == nil && m.RequestID != "" {
		err = errStreamRequest
	}
	if err != nil {
		c.refuse(a, err)
		return
	}
	if m.UID != a.uid {
		c.counters.received.Add(1)
	}
	a.carryOut(&m, number)
}

// errStreamRequest is why an entry is refused that wants an answer: Node's adapter writes none.
var errStreamRequest = errors.New("cluster: a request in a stream")
