// One set of connections to the server, and how a process is taken in.

package redisstreams

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/rueidis"

	"c100k/internal/history"
	"c100k/internal/jitter"
)

// errVersion is returned for a server that is too old.
var errVersion = errors.New("history needs Redis 6.2 or later: update it, or leave --history out")

// errForeign is wrapped by what is returned for keys that are not those of a store.
var errForeign = errors.New("a key of the store of history is not ours")

// errLife ends a session.
var errLife = errors.New("the server was restarted, or emptied")

// session is one set of connections, in one life of the server. Any goroutine.
type session struct {
	client rueidis.Client
	reads  rueidis.DedicatedClient // a connection for the live stream: it may wait there
	epoch  string                  // of what is appended and read
	life   string
	last   uint64 // number of the last message when the session began
	tail   uint64 // the live stream began behind this one then

	over   context.Context // ends with the session
	cancel context.CancelCauseFunc
}

// configure sets what the URL does not say.
func configure(o *rueidis.ClientOption) {
	o.ClientName = "c100k-history"
	o.Dialer.Timeout, o.Dialer.KeepAlive, o.ConnWriteTimeout = dialTimeout, keepAlive, answerTimeout
	o.PipelineMultiplex = -1 // one connection keeps the order of messages
	o.RingScaleEachConn = 10
	o.ReadBufferEachConn, o.WriteBufferEachConn = bufferBytes, bufferBytes
	o.DisableCache, o.DisableRetry = true, true
	o.Sentinel.Dialer, o.Sentinel.ClientName = o.Dialer, o.ClientName
}

// connect makes a session: when it returns, the server knows up to where this process has come.
func (s *Store) connect(ctx context.Context) (*session, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	client, err := rueidis.NewClient(s.url.Option)
	if err != nil {
		return nil, err
	}
	if s.url.Cluster && client.Mode() != rueidis.ClientModeCluster {
		client.Close()
		return nil, errors.New("the server is no part of a cluster")
	}
	ses := &session{client: client}
	ses.over, ses.cancel = context.WithCancelCause(context.Background())
	ses.reads, _ = client.Dedicate() // it is closed, not given back
	context.AfterFunc(ses.over, func() {
		ses.reads.Close() // wakes who waits for an answer
		client.Close()
	})
	if err := s.join(ctx, ses); err != nil {
		ses.close()
		return nil, err
	}
	return ses, nil
}

func (s *Store) join(ctx context.Context, ses *session) error {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	known := ""
	if epoch := s.epoch.Load(); epoch != nil {
		known = *epoch
	}
	b := ses.client.B()
	list, err := ses.client.Do(ctx, b.Eval().Script(joinScript).Numkeys(4).Key(s.meta, s.live, s.list, s.gaps).
		Arg(newEpoch(), known, number(s.reached.Load()), number(lifeJump), number(livesMax)).Build()).AsStrSlice()
	if err != nil {
		return err
	}
	if len(list) != 6 {
		return errForeign
	}
	if !versionIsEnough(list[4]) {
		return fmt.Errorf("%w; this is %s", errVersion, list[4])
	}
	ses.epoch, ses.life = list[0], list[1]
	if _, err := history.ParsePosition(ses.epoch + ".0"); err != nil {
		return fmt.Errorf("%w: %s has the epoch %q", errForeign, s.meta, ses.epoch)
	}
	if ses.last, err = strconv.ParseUint(list[2], 10, 64); err != nil {
		return fmt.Errorf("%w: %s: %w", errForeign, s.meta, err)
	}
	if ses.tail, err = strconv.ParseUint(list[3], 10, 64); err != nil {
		return fmt.Errorf("%w: %s: %w", errForeign, s.meta, err)
	}
	durable := history.DurableMemory
	if list[5] == "1" {
		durable = history.DurableFile
	}
	s.durable.Store(&durable)
	// A call for no life stores nothing, and puts the script where EVALSHA finds it: only now, so that
	// nobody appends to a server that no process has compared itself with.
	return ses.client.Do(ctx, b.Eval().Script(appendScript).Numkeys(4).Key(s.meta, s.live, s.list, s.meta).Arg("").Build()).Error()
}

func number(n uint64) string { return strconv.FormatUint(n, 10) }

// versionIsEnough tells whether a version is 6.2 or later.
func versionIsEnough(version string) bool {
	parts := strings.SplitN(version, ".", 3)
	if len(parts) < 2 {
		return false
	}
	major, err := strconv.Atoi(parts[0])
	minor, errMinor := strconv.Atoi(parts[1])
	return err == nil && errMinor == nil && (major > 6 || major == 6 && minor >= 2)
}

// passing tells whether an error may be over at the next try: the server is there, and not ready.
func passing(err error) bool {
	answer, ok := rueidis.IsRedisErr(err)
	if !ok {
		return false
	}
	for _, word := range []string{"LOADING", "CLUSTERDOWN", "READONLY", "BUSY", "TRYAGAIN"} {
		if strings.HasPrefix(answer.Error(), word) {
			return true
		}
	}
	return false
}

// lose ends the session; the first reason counts.
func (ses *session) lose(why error) { ses.cancel(why) }

// close closes the connections. What waits for an answer gets an error.
func (ses *session) close() { ses.cancel(nil) }

// run follows one session after the other until the store is closed.
func (s *Store) run() {
	for {
		ses := s.session.Load()
		err := s.follow(ses)
		s.session.Store(nil)
		ses.close()
		if s.closed() {
			return
		}
		s.complain("it is disconnected", err)
		if ses = s.comeBack(); ses == nil {
			return
		}
		s.session.Store(ses)
		s.well()
	}
}

// comeBack tries for ever to make a session; nil says that the store is closed.
func (s *Store) comeBack() *session {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	s.runs.Go(func() {
		select {
		case <-s.stop:
			cancel()
		case <-ctx.Done():
		}
	})
	for attempts := 1; ; attempts++ {
		ses, err := s.connect(ctx)
		if err == nil {
			return ses
		}
		s.log.Debug("the store of history does not come back yet", "err", err)
		select {
		case <-time.After(jitter.Reconnect(attempts, reconnectDelayMax)):
		case <-s.stop:
			return nil
		}
	}
}
