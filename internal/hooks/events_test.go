// Events: in order, at least once, bounded.

package hooks

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// listener is a backend that is told.
type listener struct {
	status  atomic.Int32
	conns   []string // of the events that were taken, in their order
	batches []uint64
	lost    uint64
	tries   []time.Time
}

func (l *listener) RoundTrip(r *http.Request) (*http.Response, error) {
	var b struct {
		Type   string
		Source string
		Batch  uint64
		Lost   uint64
		Events []struct{ Type, Conn string }
	}
	body, _ := io.ReadAll(r.Body)
	if err := json.Unmarshal(body, &b); err != nil || b.Type != "events" || b.Source != "here" {
		return nil, fmt.Errorf("%s: %w", body, err)
	}
	heard.Lock()
	defer heard.Unlock()
	l.tries = append(l.tries, time.Now())
	status := int(l.status.Load())
	if status == 0 {
		heard.Unlock()
		defer heard.Lock()
		return hangs(r)
	}
	if status == http.StatusOK {
		l.batches = append(l.batches, b.Batch)
		l.lost += b.Lost
		for _, e := range b.Events {
			l.conns = append(l.conns, e.Conn)
		}
	}
	return answered(status, "")
}

func newEvents(t *testing.T, l *listener, dir string) (*Events, func()) {
	t.Helper()
	b, opt := newListening(l)
	opt.Dir = dir
	e, err := NewEvents(opt)
	if err != nil {
		t.Fatal(err)
	}
	return e, func() { e.Close(); b.Close() }
}

func newListening(l *listener) (*Backend, EventsOptions) {
	b := NewBackend(BackendOptions{Concurrency: 2, Timeout: time.Second, UserAgent: "c100k/test", Transport: l})
	return b, EventsOptions{URL: "http://backend.test/events", Backend: b, Source: "here"}
}

// settle lets time pass, and waits for what happens at its end.
func settle(d time.Duration) {
	order() // what the test has read so far was read before what comes
	time.Sleep(d)
	synctest.Wait()
	order()
}

func order() {
	heard.Lock()
	defer heard.Unlock()
}

// heard orders the fields of listeners between their goroutines and the tests, which look at them
// only after settle.
var heard sync.Mutex

func connect(i int) *Event {
	return &Event{Type: EventConnect, Conn: fmt.Sprint(i), Time: time.Now()}
}

func counted(from, to int) (want []string) {
	for i := from; i < to; i++ {
		want = append(want, fmt.Sprint(i))
	}
	return want
}

func TestEventText(t *testing.T) {
	at := time.UnixMilli(1796000000123)
	for want, e := range map[string]Event{
		`{"type":"connect","time":1796000000123,"conn":"1","sub":"u1","transport":"sse","address":"192.0.2.1"}`: {
			Type: EventConnect, Time: at, Conn: "1", Sub: "u1", Transport: "sse", Address: "192.0.2.1"},
		`{"type":"vacated","time":1796000000123,"topic":"a\"b"}`: {Type: EventVacated, Time: at, Topic: `a"b`},
	} {
		if got := string(e.line()); got != want {
			t.Errorf("%s\nwant %s", got, want)
		}
	}
}

// TestEventsAreSentAgain: a backend that fails gets the same batch again, with pauses that grow,
// and everything in its order.
func TestEventsAreSentAgain(t *testing.T) {
	for _, onDisk := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			dir := ""
			if onDisk {
				dir = t.TempDir()
			}
			l := new(listener)
			l.status.Store(500)
			e, end := newEvents(t, l, dir)
			for i := range 100 {
				e.Add(connect(i))
			}
			settle(time.Second)
			for i := 100; i < 2000; i++ {
				e.Add(connect(i))
			}
			settle(time.Minute)
			if len(l.tries) < 6 || len(l.tries) > 14 || len(l.conns) != 0 {
				t.Errorf("%d tries in a minute, %d events taken", len(l.tries), len(l.conns))
			}
			if f := e.Figures(); f.Queued != 2000 || f.Failed != uint64(len(l.tries)) || f.Lost != 0 {
				t.Errorf("%+v after %d tries", f, len(l.tries))
			}
			l.status.Store(200)
			settle(time.Minute)
			if want := counted(0, 2000); !slices.Equal(l.conns, want) {
				t.Errorf("%d events, in order: %v", len(l.conns), slices.IsSorted(l.conns))
			}
			if f := e.Figures(); f.Queued != 0 || f.Bytes != 0 || f.Sent != 2000 {
				t.Errorf("%+v", f)
			}
			for i, number := range l.batches {
				if number != uint64(i+1) {
					t.Errorf("batch %d has number %d", i+1, number)
				}
			}
			end()
		})
	}
}

// TestEventsAreBounded: beyond the bound new events are dropped, and the backend hears how many.
func TestEventsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := new(memory)
		for range QueueEventsMax - 10 {
			if !q.push([]byte(`{"conn":"old"}`)) {
				t.Fatal("no room")
			}
		}
		l := new(listener)
		b, opt := newListening(l)
		e := newEventsOn(opt, q)
		for i := range 1000 {
			e.Add(connect(i))
		}
		synctest.Wait()
		if f := e.Figures(); f.Queued != QueueEventsMax || f.Lost != 990 {
			t.Errorf("%+v", f)
		}
		l.status.Store(200)
		settle(10 * time.Minute)
		if l.lost != 990 || !slices.Equal(l.conns[QueueEventsMax-10:], counted(0, 10)) {
			t.Errorf("the backend heard of %d events, and of %d that were lost", len(l.conns), l.lost)
		}
		e.Close()
		b.Close()
	})
	q := new(memory)
	line := make([]byte, QueueBytesMax/2)
	first, second := q.push(line), q.push(line)
	if !first || !second || q.push([]byte{1}) {
		t.Errorf("%d bytes in memory, the most is %d", q.bytes(), QueueBytesMax)
	}
}

// TestEventsOutliveTheProcess: what was not taken is sent by the next process; a line that was not
// written whole is left out.
func TestEventsOutliveTheProcess(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		l := new(listener)
		l.status.Store(500)
		e, end := newEvents(t, l, dir)
		for i := range 10 {
			e.Add(connect(i))
		}
		settle(time.Second)
		if _, err := NewEvents(EventsOptions{Dir: dir}); err == nil || !strings.Contains(err.Error(), "another process uses it") {
			t.Errorf("two processes with one queue: %v", err)
		}
		end()
		names, err := filepath.Glob(filepath.Join(dir, "*"+segmentSuffix))
		if err != nil || len(names) == 0 {
			t.Fatal(names, err)
		}
		f, err := os.OpenFile(names[0], os.O_WRONLY|os.O_APPEND, 0)
		if err != nil {
			t.Fatal(err)
		}
		f.WriteString(`{"type":"conn`)
		f.Close()
		l.status.Store(200)
		e, end = newEvents(t, l, dir)
		settle(time.Second)
		e.Add(connect(10))
		settle(time.Second)
		if !slices.Equal(l.conns, counted(0, 11)) {
			t.Errorf("%v", l.conns)
		}
		end()
		l.conns = nil
		_, end = newEvents(t, l, dir)
		settle(time.Second)
		if len(l.conns) != 0 {
			t.Errorf("sent again: %v", l.conns)
		}
		end()
	})
}

// TestCloseIsBounded: a backend that hangs, or takes its time for each batch, does not keep the
// node from ending.
func TestCloseIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := new(listener)
		e, end := newEvents(t, l, "")
		e.Add(connect(1))
		synctest.Wait()
		from := time.Now()
		end()
		if d := time.Since(from); d > closeMax || e.Figures().Lost != 1 {
			t.Errorf("after %v: %+v", d, e.Figures())
		}
	})
}

// TestSpoolGivesSpaceBack: files are deleted when they were taken, and the queue is bounded.
func TestSpoolGivesSpaceBack(t *testing.T) {
	dir := t.TempDir()
	s, err := openSpool(dir)
	if err != nil {
		t.Fatal(err)
	}
	line := []byte(`{"type":"connect","conn":"` + strings.Repeat("x", 4000) + `"}`)
	pushed := 0
	for s.push(line) {
		pushed++
	}
	if s.bytes() > SpoolBytesMax || s.bytes() < SpoolBytesMax-int64(len(line)+1) || s.push(make([]byte, eventBytesMax)) {
		t.Errorf("%d bytes in %d lines", s.bytes(), pushed)
	}
	taken := 0
	for s.len() > 0 {
		if err := s.flush(); err != nil {
			t.Fatal(err)
		}
		lines, err := s.peek(nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.pop(len(lines)); err != nil {
			t.Fatal(err)
		}
		taken += len(lines)
	}
	files, _ := filepath.Glob(filepath.Join(dir, "*"+segmentSuffix))
	if taken != pushed || len(files) != 1 || s.bytes() != 0 {
		t.Errorf("%d of %d lines, %d files, %d bytes left", taken, pushed, len(files), s.bytes())
	}
	if err := s.close(); err != nil {
		t.Error(err)
	}
}

// TestSpoolCannotBeOpened: the error is the system's, at the start and not later.
func TestSpoolCannotBeOpened(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := NewEvents(EventsOptions{Dir: filepath.Join(file, "below")}); err == nil {
		t.Error("opened")
	} else if !errors.As(err, new(*os.PathError)) {
		t.Errorf("%v", err)
	}
}

func FuzzSpool(f *testing.F) {
	f.Add([]byte("{}\n{}\n"), []byte("0000000000000001 00000000000000000003\n"))
	f.Add([]byte("\n\n{"), []byte("ffffffffffffffff 99999999999999999999\n"))
	f.Add([]byte{}, []byte("x"))
	f.Fuzz(func(t *testing.T, text, taken []byte) {
		dir := t.TempDir()
		if os.WriteFile(filepath.Join(dir, "0000000000000001"+segmentSuffix), text, 0o600) != nil || os.WriteFile(filepath.Join(dir, "taken"), taken, 0o600) != nil {
			t.Skip()
		}
		s, err := openSpool(dir)
		if err != nil {
			t.Skip()
		}
		defer s.close()
		for s.len() > 0 {
			lines, err := s.peek(nil)
			if err != nil {
				return
			}
			if s.pop(len(lines)) != nil {
				t.Fatal("pop")
			}
		}
		if s.bytes() != 0 {
			t.Errorf("%d bytes left of an empty queue", s.bytes())
		}
	})
}
