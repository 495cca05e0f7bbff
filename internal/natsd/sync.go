// Group commit: one fsync for all messages that were stored since the one before.
//
// JetStream can sync each message before it acknowledges it, one after the other. Here it does not:
// who wants to know that a message is on the disk asks at SyncSubject after the message was stored,
// and the answer comes when everything that was stored before the question is there. All who ask
// while a sync runs share the next one.

package natsd

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// SyncSubject is where a client of a server with Store.SyncGroups asks for a sync. The answer is
// empty, or says why there is none.
const SyncSubject = "c100k.sync"

// syncer syncs the files of a store on demand.
type syncer struct {
	// Immutable.
	root  string // of the streams: ROOT/ACCOUNT/streams/STREAM
	log   *slog.Logger
	fsync func(f *os.File) error
	conn  *nats.Conn
	kick  chan struct{} // holds a token when somebody asks
	stop  chan struct{}
	ended sync.WaitGroup

	mu  sync.Mutex // guards the field below
	ask []*nats.Msg

	// Of the goroutine of run.
	streams map[string]*syncedStream // by directory
	failed  error                    // the first error: what the kernel has dropped then, a later fsync does not notice
}

// syncedStream is what is known of the files of a stream.
type syncedStream struct {
	listed dirState // of the directory of its messages
	last   uint64   // number of the newest file
	size   int64    // of it, when it was synced
}

// dirState tells whether something was made in a directory.
type dirState struct {
	changed time.Time
	certain bool // nothing can have been made since at the same tick of the file system's clock
}

// clockTick is longer than a tick of any file system's clock.
const clockTick = 100 * time.Millisecond

// newSyncer returns the syncer of a server's store. Its URL is where it takes questions.
func newSyncer(root, where string, fsync func(*os.File) error, log *slog.Logger) (*syncer, error) {
	s := &syncer{
		root: root, log: log, fsync: fsync, kick: make(chan struct{}, 1), stop: make(chan struct{}), streams: make(map[string]*syncedStream),
	}
	conn, err := nats.Connect(where, nats.Name("c100k sync"), nats.MaxReconnects(-1))
	if err != nil {
		return nil, err
	}
	s.conn = conn
	if _, err = conn.Subscribe(SyncSubject, s.asked); err == nil {
		err = conn.FlushTimeout(startTimeout)
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	s.ended.Go(s.run)
	return s, nil
}

func (s *syncer) asked(m *nats.Msg) {
	s.mu.Lock()
	s.ask = append(s.ask, m)
	s.mu.Unlock()
	select {
	case s.kick <- struct{}{}:
	default:
	}
}

func (s *syncer) run() {
	for {
		select {
		case <-s.kick:
		case <-s.stop:
			return
		}
		s.mu.Lock()
		ask := s.ask
		s.ask = nil
		s.mu.Unlock()
		answer := ""
		if err := s.sync(); err != nil {
			answer = err.Error()
		}
		for _, m := range ask {
			_ = m.Respond([]byte(answer)) // who does not get it asks again
		}
	}
}

// sync syncs what was written since the last time.
func (s *syncer) sync() error {
	if s.failed != nil {
		return s.failed
	}
	dirs, err := filepath.Glob(filepath.Join(s.root, "*", "streams", "*"))
	for _, dir := range dirs {
		err = errors.Join(err, s.syncStream(dir))
	}
	if err != nil {
		s.failed = fmt.Errorf("history is not on the disk: %w; restart the node when the disk is well", err)
		s.log.Error(s.failed.Error())
	}
	return s.failed
}

// syncStream syncs what is new of a stream: of its messages the file that was the newest at the
// last time, and those behind it. A stream that is deleted meanwhile has nothing to lose.
func (s *syncer) syncStream(dir string) error {
	st := s.streams[dir]
	if st == nil {
		if err := s.syncHead(dir); err != nil {
			return err
		}
		st = &syncedStream{}
		s.streams[dir] = st
	}
	messages := filepath.Join(dir, "msgs")
	info, err := os.Stat(messages)
	if err != nil {
		return unlessGone(err)
	}
	if st.listed.certain && info.ModTime().Equal(st.listed.changed) {
		return s.syncFile(messages, st, st.last)
	}
	st.listed = dirState{changed: info.ModTime(), certain: time.Since(info.ModTime()) > clockTick}
	entries, err := os.ReadDir(messages)
	if err != nil {
		return unlessGone(err)
	}
	from := st.last
	for _, e := range entries {
		number, err := strconv.ParseUint(strings.TrimSuffix(e.Name(), ".blk"), 10, 64)
		if err == nil && number >= from {
			if err := s.syncFile(messages, st, number); err != nil {
				return err
			}
		}
	}
	return s.syncPath(messages)
}

// syncHead syncs what says that there is a stream.
func (s *syncer) syncHead(dir string) error {
	for _, path := range []string{
		filepath.Join(dir, "meta.inf"), filepath.Join(dir, "meta.sum"), dir, filepath.Dir(dir), filepath.Dir(filepath.Dir(dir)), s.root, filepath.Dir(s.root),
	} {
		if err := s.syncPath(path); err != nil {
			return err
		}
	}
	return nil
}

// syncFile syncs a file of messages, unless it is the newest and has not grown.
func (s *syncer) syncFile(dir string, st *syncedStream, number uint64) error {
	path := filepath.Join(dir, strconv.FormatUint(number, 10)+".blk")
	info, err := os.Stat(path) // before the sync: what is written behind it is synced the next time
	if err != nil {
		return unlessGone(err)
	}
	if number == st.last && info.Size() == st.size {
		return nil
	}
	if err := s.syncPath(path); err != nil {
		return err
	}
	if number >= st.last {
		st.last, st.size = number, info.Size()
	}
	return nil
}

func (s *syncer) syncPath(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return unlessGone(err)
	}
	defer f.Close()
	return s.fsync(f)
}

func unlessGone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// close ends the syncer. A nil one has nothing to end.
func (s *syncer) close() {
	if s == nil {
		return
	}
	close(s.stop)
	s.ended.Wait()
	s.conn.Close()
}
