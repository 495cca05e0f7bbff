// Streams as the log of recovery that all servers share, and the sessions of clients that have
// left.

package cluster

import (
	"context"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"c100k/internal/sio"
	"c100k/internal/siowire"
	"c100k/socketio"

	"github.com/redis/rueidis"
)

// streamLog is the adapter of a namespace whose events are in a stream. It implements
// sio.SharedLog. Any goroutine.
type streamLog struct {
	*adapter

	// Immutable.
	form    streams
	carrier *redisCarrier
	reader  *streamReader

	lost  atomic.Pointer[func()]
	takes atomic.Int32 // sessions that are being taken
}

// logOf returns the log of a namespace.
func (f streams) logOf(a *adapter) *streamLog {
	a.log = &streamLog{adapter: a, form: f, carrier: a.c.carrier.(*redisCarrier), reader: f.readers[f.streamOf(a.nsp)]}
	return a.log
}

// Begin implements sio.SharedLog.
func (g *streamLog) Begin(lost func()) uint64 {
	g.lost.Store(&lost)
	g.c.mu.Lock() // so that no entry is looked at
	defer g.c.mu.Unlock()
	g.echoes.Store(true)
	return g.reader.reached.Load()
}

// entriesLost tells the namespaces of a stream that entries were lost.
func (c *Cluster) entriesLost(s *streamReader) {
	logs := map[*streamLog]bool{}
	c.mu.RLock()
	for _, a := range c.bySub {
		if a.log != nil && a.log.reader == s {
			logs[a.log] = true
		}
	}
	c.mu.RUnlock()
	for g := range logs {
		if lost := g.lost.Load(); lost != nil {
			(*lost)()
		}
	}
}

// logged delivers a broadcast of a stream.
func (a *adapter) logged(m *siowire.Message, number uint64) error {
	b, err := broadcastOf(m)
	if err != nil {
		return err
	}
	return sio.Logged(a.local, b, number)
}

// broadcastOf returns a message without acknowledgements as a broadcast. Rooms without sockets here
// stay: a client that is recovered may have been in them.
func broadcastOf(m *siowire.Message) (socketio.Broadcast, error) {
	e, err := socketio.ParseEvent(m.Payload, m.Attachments)
	return socketio.Broadcast{
		Selection: socketio.Selection{Rooms: m.Rooms, Except: m.Except}, Event: e, Volatile: m.Volatile, NoCompress: m.NoCompress,
	}, err
}

// Save implements sio.SharedLog. A session that cannot be saved is lost, and the client begins
// anew.
func (g *streamLog) Save(s *sio.SharedSession, keep time.Duration) {
	key, p := g.form.sessionKey+s.PID, siowire.AppendSession(nil, s)
	if g.closed.Load() || len(p) > siowire.MessageBytesMax || g.carrier.reserve(len(key)+len(p)) != nil {
		g.c.counters.busy.Add(1)
		return
	}
	g.carrier.queue(outgoing{channel: key, p: p, special: func(b rueidis.Builder) rueidis.Completed {
		return b.Set().Key(key).Value(rueidis.BinaryString(p)).PxMilliseconds(keep.Milliseconds()).Build()
	}})
}

// Take implements sio.SharedLog.
func (g *streamLog) Take(pid string, done func(*sio.SharedSession)) {
	if g.closed.Load() || g.takes.Add(1) > takesMax {
		g.takes.Add(-1)
		done(nil)
		return
	}
	go func() {
		defer g.takes.Add(-1)
		done(g.take(pid))
	}()
}

// take gets a session; nil if there is none, or Redis does not answer.
func (g *streamLog) take(pid string) *sio.SharedSession {
	ctx, cancel := context.WithTimeout(g.carrier.ctx, takeTimeout)
	defer cancel()
	text, err := g.carrier.client.Do(ctx, g.carrier.client.B().Getdel().Key(g.form.sessionKey+pid).Build()).ToString()
	if err != nil {
		return nil
	}
	s, err := siowire.ParseSession([]byte(text))
	if err != nil || s.PID != pid {
		g.c.refuse(g.adapter, siowire.ErrFormat)
		return nil
	}
	return s
}

// Fill implements sio.SharedLog.
func (g *streamLog) Fill(upTo uint64, back time.Duration, bytesMax int, done func([]sio.SharedEvent, uint64, error)) {
	go func() {
		ctx, cancel := context.WithTimeout(g.carrier.ctx, fillTimeout)
		defer cancel()
		list, from, err := g.readBack(ctx, upTo, back, bytesMax)
		if err != nil {
			g.c.log.Warn("Socket.IO servers: clients that come from other servers cannot be recovered", "namespace", g.nsp, "err", err)
		}
		slices.Reverse(list)
		done(list, from, err)
	}()
}

// readBack reads the entries up to a number, the newest first, back to a time before it. All behind
// from are in the list.
func (g *streamLog) readBack(ctx context.Context, upTo uint64, back time.Duration, bytesMax int) (list []sio.SharedEvent, from uint64, err error) {
	client, end := g.carrier.client, sio.FormatOffset(upTo)
	start := sio.FormatOffset(min(sio.OffsetAt(sio.OffsetTime(upTo).Add(-back)), upTo))
	last := upTo
	for size := 0; ; {
		page, err := client.Do(ctx, client.B().Xrevrange().Key(g.reader.name).End(end).Start(start).Count(streamReadMax).Build()).AsXRange()
		if err != nil {
			return nil, 0, err
		}
		for _, e := range page {
			number, ok := sio.ParseOffset(e.ID)
			for _, text := range e.FieldValues {
				size += len(text)
			}
			if !ok || size > bytesMax {
				return list, last, nil
			}
			if e.FieldValues["nsp"] == g.nsp {
				list = g.appendEntry(list, number, e.FieldValues)
			}
			last, end = number, "("+e.ID
		}
		if len(page) < streamReadMax {
			break
		}
	}
	from, err = g.newestBefore(ctx, start)
	return list, from, err
}

// appendEntry appends an entry that is a recoverable event.
func (g *streamLog) appendEntry(list []sio.SharedEvent, number uint64, members map[string]string) []sio.SharedEvent {
	m, err := siowire.ParseStream(members["type"], members["uid"], members["nsp"], members["data"])
	if err != nil || m.Type != siowire.Broadcast || m.RequestID != "" || m.Volatile {
		return list
	}
	b, err := broadcastOf(&m)
	if err != nil {
		return list
	}
	return append(list, sio.SharedEvent{Number: number, Broadcast: b})
}

// newestBefore returns the number of the newest entry before an id; if it was removed from the
// stream, that of the oldest entry that is there; 0 if there was none.
func (g *streamLog) newestBefore(ctx context.Context, id string) (uint64, error) {
	if id == sio.FormatOffset(0) {
		return 0, nil
	}
	client := g.carrier.client
	before, err := client.Do(ctx, client.B().Xrevrange().Key(g.reader.name).End("("+id).Start("-").Count(1).Build()).AsXRange()
	if err == nil && len(before) > 0 {
		number, _ := sio.ParseOffset(before[0].ID)
		return number, nil
	}
	info, err := client.Do(ctx, client.B().XinfoStream().Key(g.reader.name).Build()).AsMap()
	if err != nil && strings.Contains(err.Error(), "no such key") {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	length, added := info["length"], info["entries-added"] // before Redis 7 the latter is not there
	n, err := length.AsInt64()
	if all, err2 := added.AsInt64(); err == nil && err2 == nil && all == n {
		return 0, nil
	}
	first, err := client.Do(ctx, client.B().Xrange().Key(g.reader.name).Start("-").End("+").Count(1).Build()).AsXRange()
	if err != nil || len(first) == 0 {
		return 0, err
	}
	number, _ := sio.ParseOffset(first[0].ID)
	return number, nil
}
