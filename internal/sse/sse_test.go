package sse

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
	"unsafe"

	"c100k/broadcast"
	"c100k/internal/auth"
	"c100k/internal/prototest"
	"c100k/netpoll"
	"c100k/netpoll/netpolltest"
)

func cast(seed uint64, policy broadcast.Policy, outbox int) func(t *testing.T) prototest.Cast {
	return func(t *testing.T) prototest.Cast {
		var h *Handler
		n := prototest.NewNode(t, prototest.Options{
			Seed: seed, Encoders: []broadcast.Encoder{NewEncoder("e1")},
			Policy: policy, OutboxBytesMax: outbox, TopicsPerMemberMax: 3,
			Gap: func(dst []byte, _ broadcast.Form, topic string, missed uint32) []byte {
				return AppendGap(dst, topic, uint64(missed))
			},
			Handlers: func(n *prototest.Node) (hs [netpoll.RolesMax]netpoll.Handler) {
				h = NewHandler(Config{
					Shard: n.Shard, Sink: n.Sink, Principals: &auth.Principals{}, PingInterval: 30 * time.Second, PingTimeout: 10 * time.Second,
					Date: func() time.Time { return time.Date(2026, 11, 1, 12, 0, 0, 0, time.FixedZone("CET", 7200)) },
				})
				hs[1] = h
				return hs
			},
		})
		return prototest.Cast{
			Node: n, Role: 1,
			Open: func(l *netpoll.Loop, c *netpoll.Conn, args []string) {
				p := params(args)
				for _, a := range args {
					if left, ok := strings.CutPrefix(a, "expires="); ok {
						d, err := time.ParseDuration(left)
						if err != nil {
							t.Fatal(err)
						}
						p.Who = &auth.Principal{Subject: "ann", Expires: l.Now() + d}
					}
				}
				h.Open(l, c, p)
			},
			Do: func(word, rest string, client func(string) *netpolltest.Peer) bool {
				return perform(t, n, h, word, rest, client)
			},
		}
	}
}

func params(args []string) (p Params) {
	for _, a := range args {
		switch name, value, _ := strings.Cut(a, "="); name {
		case "topic":
			p.Topics = append(p.Topics, value)
		case "origin":
			p.AllowOrigin, p.AllowCredentials = value, true
		}
	}
	return p
}

func perform(t *testing.T, n *prototest.Node, h *Handler, word, rest string, client func(string) *netpolltest.Peer) bool {
	switch word {
	case "publish": // TOPIC KIND PAYLOAD
		topic, rest, _ := strings.Cut(rest, " ")
		kind, payload, _ := strings.Cut(rest, " ")
		if s, err := strconv.Unquote(payload); err == nil {
			payload = s
		}
		kinds := map[string]broadcast.Kind{"text": broadcast.Text, "json": broadcast.JSON, "binary": broadcast.Binary}
		if _, err := n.Hub.Publish(topic, kinds[kind], []byte(payload)); err != nil {
			t.Fatal(err)
		}
	case "drain":
		n.Do(client(rest), h.Drain)
	case "revoke":
		n.Do(client(rest), h.Revoke)
	case "kick":
		n.Do(client(rest), h.Kick)
	case "flood":
		client(rest).Write(make([]byte, InputBytesMax))
	case "window": // NAME BYTES
		name, bytes := prototest.Word(rest)
		client(name).SetWindow(prototest.Int(t, bytes))
	default:
		return false
	}
	return true
}

func TestTranscripts(t *testing.T) {
	for seed := range uint64(4) {
		prototest.Run(t, "testdata/stream.txt", cast(seed, broadcast.Disconnect, 1<<20))
	}
	prototest.Run(t, "testdata/ends.txt", cast(0, broadcast.Disconnect, 1<<20))
	prototest.Run(t, "testdata/tokens.txt", cast(0, broadcast.Disconnect, 1<<20))
	prototest.Run(t, "testdata/slow/newest.txt", cast(0, broadcast.DropNewest, 80))
	prototest.Run(t, "testdata/slow/disconnect.txt", cast(0, broadcast.Disconnect, 80))
}

func TestSessionIsSmall(t *testing.T) {
	if n := unsafe.Sizeof(session{}); n > 6 {
		t.Errorf("a session has %d bytes", n)
	}
}

// event is what an EventSource dispatches.
type event struct{ name, id, data string }

// eventSource is the interpretation of a stream in WHATWG HTML, 9.2.6.
func eventSource(stream string) (events []event) {
	var name, id, data string
	stream = strings.ReplaceAll(strings.ReplaceAll(strings.TrimPrefix(stream, "\ufeff"), "\r\n", "\n"), "\r", "\n")
	lines := strings.Split(stream, "\n")
	for _, line := range lines[:len(lines)-1] { // what has no end of line is not a line
		if line == "" {
			if data != "" {
				events = append(events, event{name, id, strings.TrimSuffix(data, "\n")})
			}
			name, data = "", ""
			continue
		}
		field, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch field {
		case "event":
			name = value
		case "data":
			data += value + "\n"
		case "id":
			if !strings.Contains(value, "\x00") {
				id = value
			}
		}
	}
	return events
}

func ExampleAppendEvent() {
	fmt.Printf("%s", AppendEvent(nil, []byte("e1.7"), broadcast.Text, []byte("two\nlines")))
	// Output:
	// event: message
	// id: e1.7
	// data: two
	// data: lines
}

func TestAppendGap(t *testing.T) {
	got := eventSource(string(AppendGap(nil, "a\"\\é", 17)))
	if want := (event{"gap", "", `{"topic":"a\"\\é","missed":17}`}); len(got) != 1 || got[0] != want {
		t.Errorf("got %q", got)
	}
}

func TestNewEncoder(t *testing.T) {
	encode, m := NewEncoder("x"), &broadcast.Message{Payload: []byte("p")}
	stream := encode(encode([]byte("before"), m), m)
	want := []event{{"message", "x.1", "p"}, {"message", "x.2", "p"}}
	if got := eventSource(strings.TrimPrefix(string(stream), "before")); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %q", got)
	}
}

// FuzzSSEEncode: an EventSource gets back what was published.
func FuzzSSEEncode(f *testing.F) {
	for _, s := range []string{"", "x", " x", "a\nb", "a\r\nb\r", "\n", "\r\n\n\r", "data: x\n\n:", "\x00\xff", "\ufeff", "é"} {
		f.Add([]byte(s), uint8(0))
		f.Add([]byte(s), uint8(2))
	}
	f.Fuzz(func(t *testing.T, p []byte, k uint8) {
		kind := broadcast.Kind(k % 3)
		if kind != broadcast.Binary && !utf8.Valid(p) {
			return // no publisher may call it text
		}
		stream := AppendHead(nil, time.Now(), "", false, nil, time.Second)
		stream = stream[bytes.Index(stream, []byte("\r\n\r\n"))+4:]
		stream = AppendEvent(stream, []byte("e.1"), kind, p)
		stream = AppendEvent(append(stream, heartbeat...), []byte("e.2"), broadcast.Text, []byte("next"))
		got := eventSource(string(stream))
		if len(got) != 2 || got[0].id != "e.1" || got[1] != (event{"message", "e.2", "next"}) {
			t.Fatalf("%q became %q", p, got)
		}
		back, want := got[0].data, string(p)
		switch {
		case got[0].name == "binary":
			b, err := base64.StdEncoding.DecodeString(back)
			if err != nil || kind != broadcast.Binary {
				t.Fatal(kind, err)
			}
			back = string(b)
		case kind != broadcast.Binary:
			want = strings.ReplaceAll(strings.ReplaceAll(want, "\r\n", "\n"), "\r", "\n")
		}
		if back != want {
			t.Fatalf("%q came back as %q", want, back)
		}
	})
}
