package natsd

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// syncing starts a server with a stream, and a syncer of its files that calls fsync.
func syncing(t *testing.T, fsync func(*os.File) error) (*nats.Conn, nats.JetStreamContext) {
	t.Helper()
	dir := t.TempDir()
	s := start(t, Options{Name: "one", Store: &Store{Dir: dir}})
	conn := connect(t, s)
	js, err := conn.JetStream()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.AddStream(&nats.StreamConfig{Name: "S", Subjects: []string{"s"}}); err != nil {
		t.Fatal(err)
	}
	y, err := newSyncer(filepath.Join(dir, server.JetStreamStoreDir), s.URL(), fsync, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(y.close)
	return conn, js
}

// The answer comes when what was stored before the question was synced: in its file, and all that
// says where the file is.
func TestSync(t *testing.T) {
	var synced []string
	whole := map[string][]byte{}
	conn, js := syncing(t, func(f *os.File) error {
		synced = append(synced, filepath.Base(f.Name()))
		if strings.HasSuffix(f.Name(), ".blk") {
			text, err := io.ReadAll(f)
			whole[f.Name()] = text
			return err
		}
		return nil
	})
	large := strings.Repeat("x", 60_000)
	for i := range 400 { // more than one file
		payload := fmt.Sprintf("message %d %s", i, large)
		if _, err := js.Publish("s", []byte(payload)); err != nil {
			t.Fatal(err)
		}
		if i%7 != 0 {
			continue
		}
		if m, err := conn.Request(SyncSubject, nil, 30*time.Second); err != nil || len(m.Data) > 0 {
			t.Fatalf("%v %s", err, m.Data)
		}
		found := false
		for _, text := range whole {
			found = found || bytes.Contains(text, []byte(payload))
		}
		if !found {
			t.Fatalf("message %d was not synced", i)
		}
		clear(whole)
	}
	for _, name := range []string{"meta.inf", "meta.sum", "S", "streams", "msgs", "jetstream", "1.blk", "2.blk", "3.blk"} {
		if !strings.Contains(strings.Join(synced, " ")+" ", name+" ") {
			t.Errorf("%s was not synced: %q", name, synced[:min(len(synced), 20)])
		}
	}
	// The directory was changed just now; a moment later there is nothing to do.
	for giveUp := time.Now().Add(30 * time.Second); ; {
		before := len(synced)
		if _, err := conn.Request(SyncSubject, nil, 30*time.Second); err != nil {
			t.Fatal(err)
		}
		if len(synced) == before {
			break
		}
		if time.Now().After(giveUp) {
			t.Fatal("it syncs, and nothing was written")
		}
	}
}

// All who ask while a sync runs share the next one.
func TestSyncGroups(t *testing.T) {
	begun, release := make(chan struct{}, 1000), make(chan struct{})
	syncs := 0
	conn, js := syncing(t, func(f *os.File) error {
		if strings.HasSuffix(f.Name(), ".blk") {
			syncs++
			begun <- struct{}{}
			<-release
		}
		return nil
	})
	ask := func() *nats.Subscription {
		inbox := nats.NewInbox()
		answers, err := conn.SubscribeSync(inbox)
		if err != nil {
			t.Fatal(err)
		}
		if err := conn.PublishRequest(SyncSubject, inbox, nil); err != nil {
			t.Fatal(err)
		}
		return answers
	}
	var all []*nats.Subscription
	for i := range 100 {
		if _, err := js.Publish("s", []byte("m")); err != nil {
			t.Fatal(err)
		}
		all = append(all, ask())
		if i == 0 {
			<-begun
		}
	}
	if err := conn.Flush(); err != nil {
		t.Fatal(err)
	}
	if n, _, _ := all[0].Pending(); n > 0 {
		t.Error("answered before the sync")
	}
	close(release)
	for i, answers := range all {
		if m, err := answers.NextMsg(30 * time.Second); err != nil || len(m.Data) > 0 {
			t.Fatalf("%d: %v", i, err)
		}
	}
	if syncs > 3 {
		t.Errorf("%d syncs for 100 messages", syncs)
	}
}

// After an error of the disk nothing is known of what was written before: no later sync succeeds.
func TestSyncFails(t *testing.T) {
	fails := true
	conn, js := syncing(t, func(f *os.File) error {
		if fails && strings.HasSuffix(f.Name(), ".blk") {
			fails = false
			return &os.PathError{Op: "fsync", Path: f.Name(), Err: errors.New("input/output error")}
		}
		return nil
	})
	if _, err := js.Publish("s", []byte("m")); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if m, err := conn.Request(SyncSubject, nil, 30*time.Second); err != nil || !strings.Contains(string(m.Data), "input/output error") {
			t.Errorf("%v %s", err, m.Data)
		}
	}
}
