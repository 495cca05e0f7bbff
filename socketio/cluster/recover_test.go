// Recovery of stock clients that move between servers of Node and of this package.

package cluster

import (
	"context"
	"encoding/base64"
	"fmt"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"c100k/internal/sio"
	"c100k/internal/siowire"
	"c100k/socketio"

	"github.com/redis/rueidis"
)

// recoverJoin starts a server of this package in a cluster with recovery.
func recoverJoin(t *testing.T, path string, count int) string {
	t.Helper()
	c, err := Streams(t.Context(), StreamsOptions{RedisOptions: RedisOptions{URL: redisURL(path)}, Count: count})
	if err != nil {
		t.Fatal(err)
	}
	return startGo(t, c, socketio.Options{Recovery: &socketio.Recovery{}}).address
}

// moves runs clusterrecover.mjs, and compares what its client got.
func moves(t *testing.T, route, nsp string, servers []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", append([]string{"clusterrecover.mjs", route, nsp}, servers...)...)
	cmd.Dir = scripts
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s in %s: %v: %s\n%s", route, nsp, err, errs.String(), out)
	}
	want := "[\"first\",0]\n"
	for i := range strings.Count(route, ",") {
		want += fmt.Sprintf("[\"missed\",%d,{\"$binary\":\"AQID\"}]\n[\"for all\",%[1]d]\n[\"for it alone\",%[1]d]\n[\"after\",%[1]d]\n", i)
	}
	if string(out) != want {
		t.Errorf("%s in %s: got\n%s, want\n%s", route, nsp, out, want)
	}
}

// TestRecoveryOverServers: a stock client goes from a server of Node to one of ours, to another,
// and back, and gets every event once. One server joins when clients have left already.
func TestRecoveryOverServers(t *testing.T) {
	t.Parallel()
	for _, count := range []int{1, 3} {
		t.Run(fmt.Sprint(count), func(t *testing.T) {
			path := needRedis(t)
			options := fmt.Sprintf(`{"recovery":true,"streamCount":%d}`, count)
			servers := []string{
				startNode(t, "redis-streams", "ioredis", path, "a", options), startNode(t, "redis-streams", "redis", path, "b", options),
				recoverJoin(t, path, count), recoverJoin(t, path, count),
			}
			moves(t, "0,2,3,1,2,2,0", "/", servers)
			moves(t, "2,0,3", "/some", servers)
		})
	}
}

// offsetIn finds the offset of an event that a client has polled.
var offsetIn = regexp.MustCompile(`"([0-9]+-[0-9]+)"\]`)

// until polls until an event has come, and returns its offset.
func (c *pollClient) until(name string) (offset string) {
	c.t.Helper()
	for {
		text := c.do("GET", "")
		if _, text, found := strings.Cut(text, `42["`+name+`"`); found {
			return offsetIn.FindStringSubmatch(text)[1]
		}
	}
}

// waitSaved waits until a session is in Redis.
func waitSaved(t *testing.T, client rueidis.Client, pid string) {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		n, err := client.Do(t.Context(), client.B().Exists().Key("sio:session:"+pid).Build()).AsInt64()
		if n == 1 {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("the session is not saved: %v", err)
		}
	}
}

// TestRecoveryAtNewServer: a server that did not run while a client was away reads what the client
// missed. A session is good for one use.
func TestRecoveryAtNewServer(t *testing.T) {
	t.Parallel()
	path := needRedis(t)
	client, err := rueidis.NewClient(redisClient(path))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	join := func() *goServer {
		c, err := Streams(t.Context(), StreamsOptions{RedisOptions: RedisOptions{URL: redisURL(path)}})
		if err != nil {
			t.Fatal(err)
		}
		return startGo(t, c, socketio.Options{Recovery: &socketio.Recovery{}})
	}
	first := join()
	emit := func(names ...string) {
		t.Helper()
		for _, name := range names {
			if err := first.io.Emit(name, "x"); err != nil {
				t.Fatal(err)
			}
		}
	}
	idle, busy, witness := dialPoll(t, first.address), dialPoll(t, first.address), dialPoll(t, first.address)
	emit("a")
	offset := busy.until("a")
	idle.leave()
	busy.leave()
	waitSaved(t, client, idle.pid)
	waitSaved(t, client, busy.pid)
	emit("b")
	for i := range 250 {
		if err := first.io.To("nobody").Emit("m", i); err != nil {
			t.Fatal(err)
		}
	}
	emit("c")
	witness.until("c") // it is in the stream
	second := join()
	auth := fmt.Sprintf(`{"pid":"%s","offset":"%s"}`, busy.pid, offset)
	back := dialPoll(t, second.address, auth)
	if got := back.early; back.id != busy.id || count(got, "a") != 0 || count(got, "b") != 1 || count(got, "c") != 1 || count(got, "m") != 0 {
		t.Errorf("it was %s and is %s, and got %q", busy.id, back.id, got)
	}
	if again := dialPoll(t, second.address, auth); again.id == busy.id {
		t.Error("a session was given twice")
	}
	// One that never got an event that it can name is known by where it joined.
	back = dialPoll(t, second.address, fmt.Sprintf(`{"pid":"%s"}`, idle.pid))
	if back.id != idle.id || count(back.early, "b") != 1 {
		t.Errorf("it was %s and is %s, and got %q", idle.id, back.id, back.early)
	}
	emit("d")
	back.until("d")
}

// TestBadSessions: sessions in Redis may be damaged or forged. A client whose session is not valid
// gets a new one.
func TestBadSessions(t *testing.T) {
	t.Parallel()
	path := needRedis(t)
	client, err := rueidis.NewClient(redisClient(path))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	c, err := Streams(t.Context(), StreamsOptions{RedisOptions: RedisOptions{URL: redisURL(path)}})
	if err != nil {
		t.Fatal(err)
	}
	s := startGo(t, c, socketio.Options{Recovery: &socketio.Recovery{}})
	witness := dialPoll(t, s.address)
	if err := s.io.Emit("m"); err != nil {
		t.Fatal(err)
	}
	offset := witness.until("m")
	number, _ := sio.ParseOffset(offset)
	good := func(change func(s *sio.SharedSession)) string {
		session := &sio.SharedSession{ID: "old", PID: "pid", Rooms: []string{"old", "r"}, Own: true, Base: number, Settled: number}
		change(session)
		return string(siowire.AppendSession(nil, session))
	}
	far := sio.OffsetAt(time.Now().Add(1000 * time.Hour))
	for name, tt := range map[string]struct {
		session, offset string
		want            bool
	}{
		"good":                       {session: good(func(*sio.SharedSession) {}), offset: offset, want: true},
		"without an offset":          {session: good(func(*sio.SharedSession) {}), want: true},
		"of Node":                    {session: good(func(s *sio.SharedSession) { s.Own = false }), offset: offset, want: true},
		"of Node, without an offset": {session: good(func(s *sio.SharedSession) { s.Own = false })},
		"of another client":          {session: good(func(s *sio.SharedSession) { s.PID = "other" }), offset: offset},
		"of somebody else":           {session: good(func(s *sio.SharedSession) { s.Subject = "alice" }), offset: offset},
		"begun later":                {session: good(func(s *sio.SharedSession) { s.Base = number + 1 }), offset: offset},
		"of the future":              {session: good(func(s *sio.SharedSession) { s.Base = far })},
		"too many rooms":             {session: good(func(s *sio.SharedSession) { s.Rooms = manyRooms() }), offset: offset, want: true},
		"offset of the future":       {session: good(func(*sio.SharedSession) {}), offset: sio.FormatOffset(far)},
		"offset of no stream":        {session: good(func(*sio.SharedSession) {}), offset: "zzz"},
		"offset of another era":      {session: good(func(*sio.SharedSession) {}), offset: "99999999999999999-1"},
		"not base64":                 {session: "€", offset: offset},
		"not MessagePack":            {session: base64.StdEncoding.EncodeToString([]byte("\xc1")), offset: offset},
		"a bomb":                     {session: base64.StdEncoding.EncodeToString([]byte("\xdf\xff\xff\xff\xff")), offset: offset},
		"large":                      {session: strings.Repeat("A", 20<<20), offset: offset},
		"empty":                      {offset: offset},
	} {
		if err := client.Do(t.Context(), client.B().Set().Key("sio:session:pid").Value(tt.session).Build()).Error(); err != nil {
			t.Fatal(err)
		}
		auth := `{"pid":"pid","offset":"` + tt.offset + `"}`
		if tt.offset == "" {
			auth = `{"pid":"pid"}`
		}
		if back := dialPoll(t, s.address, auth); (back.id == "old") != tt.want || (back.pid == "pid") != tt.want {
			t.Errorf("%s: is %s, %s", name, back.id, back.pid)
		} else if tt.want {
			back.leave()
			waitSaved(t, client, "pid")
		}
	}
}

func manyRooms() (list []string) {
	for i := range 5000 {
		list = append(list, fmt.Sprint(i))
	}
	return append(list, strings.Repeat("r", 1000))
}
