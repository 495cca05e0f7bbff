package siowire_test

import (
	"reflect"
	"testing"

	"c100k/internal/sio"
	"c100k/internal/siowire"
)

var sessions = []*sio.SharedSession{
	{ID: "id", PID: "pid", Rooms: []string{"id", "r"}, Data: []byte(`{"user":1}`)},
	{ID: "id", PID: "pid", Rooms: []string{"id"}, Data: []byte(`{}`), Own: true, Subject: "alice", Base: 1 << 40, Settled: 1<<40 + 3},
}

func TestSession(t *testing.T) {
	for _, s := range sessions {
		back, err := siowire.ParseSession(siowire.AppendSession(nil, s))
		if err != nil || !reflect.DeepEqual(s, back) {
			t.Errorf("%+v, %v, want %+v", back, err, s)
		}
	}
	// As npm @socket.io/redis-streams-adapter 0.3 writes it: {sid, pid, rooms, data: {b: Buffer}}.
	const node = "hKNzaWSiaWSjcGlko3BpZKVyb29tc5KiaWShcqRkYXRhgaFixAMBAgM="
	s, err := siowire.ParseSession([]byte(node))
	if err != nil || s.ID != "id" || s.PID != "pid" || len(s.Rooms) != 2 || string(s.Data) != `{"b":"AQID"}` || s.Own {
		t.Errorf("%+v, %v", s, err)
	}
}

func FuzzSession(f *testing.F) {
	for _, s := range sessions {
		f.Add(siowire.AppendSession(nil, s))
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		s, err := siowire.ParseSession(p)
		if err != nil {
			return
		}
		if back, err := siowire.ParseSession(siowire.AppendSession(nil, s)); err != nil || back.ID == "" {
			t.Errorf("%+v, %v, from %+v", back, err, s)
		}
	})
}
