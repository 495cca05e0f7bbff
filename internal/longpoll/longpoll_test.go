package longpoll

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"c100k/broadcast"
	"c100k/internal/auth"
	"c100k/internal/edge"
	"c100k/internal/history"
	"c100k/internal/proto"
	"c100k/internal/prototest"
	"c100k/netpoll"
	"c100k/netpoll/netpolltest"
)

const (
	roleHead netpoll.Role = 1
	rolePoll netpoll.Role = 2
)

// head stands in for the head role: it notes what it gets.
type head struct{ got []byte }

func (h *head) OnOpen(*netpoll.Loop, *netpoll.Conn)                  {}
func (h *head) OnData(_ *netpoll.Loop, _ *netpoll.Conn, p []byte)    { h.got = append(h.got, p...) }
func (h *head) OnTimer(*netpoll.Loop, *netpoll.Conn)                 {}
func (h *head) OnWritable(*netpoll.Loop, *netpoll.Conn)              {}
func (h *head) OnClose(*netpoll.Loop, *netpoll.Conn, netpoll.Reason) {}

// stage is one loop with polls. Topics whose name begins with "kept." have a history.
type stage struct {
	*prototest.Node
	t        *testing.T
	h        *Handler
	head     head
	count    proto.Count
	draining bool
}

func newStage(t *testing.T, policy broadcast.Policy, keep int) *stage {
	s := &stage{t: t}
	epochs := 0
	var node *prototest.Node
	members := &struct{ *Handler }{}
	node = prototest.NewNode(t, prototest.Options{
		Encoders: []broadcast.Encoder{Encode}, Policy: policy, OutboxBytesMax: 1 << 20, Members: members,
		Topics: func(o *broadcast.Options) {
			o.Positions = func(topic string) (broadcast.Position, bool) {
				if !strings.HasPrefix(topic, "kept.") {
					return broadcast.Position{}, false
				}
				epochs++
				return broadcast.Position{Epoch: fmt.Sprintf("e%d", epochs), Offset: 1}, true
			}
			o.Keep = func(string) broadcast.Keep { return broadcast.Keep{Count: keep} }
			o.EncodedBytesMax = func(_ broadcast.Form, m *broadcast.Message) int { return 2*len(m.Payload) + 1024 }
		},
		Flush: func(l *netpoll.Loop) { s.h.Flush(l) },
		Handlers: func(n *prototest.Node) (hs [netpoll.RolesMax]netpoll.Handler) {
			s.h = NewHandler(Config{
				Shard: n.Shard, Head: roleHead, Role: rolePoll, Principals: &auth.Principals{}, Count: &s.count,
				Draining: func() bool { return s.draining }, Revoked: &edge.Refusal{Status: 401, Reason: "the token was revoked"},
				Date: func() time.Time { return time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC) },
			})
			members.Handler = s.h
			hs[roleHead], hs[rolePoll] = &s.head, s.h
			return hs
		},
	})
	s.Node = node
	return s
}

// poll begins a poll of topics, separated by commas, on p, which is made if it is nil.
func (s *stage) poll(p *netpolltest.Peer, topics, after string, wait time.Duration, with ...func(*Params)) *netpolltest.Peer {
	s.t.Helper()
	if p == nil {
		p = s.Connect(roleHead)
	}
	params := Params{Topics: strings.Split(topics, ","), Wait: wait, Keep: true}
	for _, topic := range params.Topics {
		params.Kept = append(params.Kept, strings.HasPrefix(topic, "kept."))
	}
	if after != "" {
		params.From = history.ParseEventID(after, params.Topics)
		for i := range params.From {
			if !params.Kept[i] {
				params.From[i] = history.Unknown()
			}
		}
	}
	for _, f := range with {
		f(&params)
	}
	s.Do(p, func(l *netpoll.Loop, c *netpoll.Conn) {
		if err := s.h.Open(l, c, &params); err != nil {
			s.t.Error(err)
		}
	})
	return p
}

func (s *stage) publish(topic string, kind broadcast.Kind, payload string) {
	s.t.Helper()
	if _, err := s.Hub.Publish(topic, kind, []byte(payload)); err != nil {
		s.t.Fatal(err)
	}
	s.Settle()
}

// answer is the next answer that p has got: its status and header fields, and its body.
func (s *stage) answer(p *netpolltest.Peer) (lines []string, body string) {
	s.t.Helper()
	got := string(p.Read())
	before, body, ok := strings.Cut(got, "\r\n\r\n")
	if !ok {
		s.t.Fatalf("got %q", got)
	}
	return strings.Split(before, "\r\n"), body
}

func (s *stage) wantBody(p *netpolltest.Peer, want string) {
	s.t.Helper()
	if _, got := s.answer(p); got != want {
		s.t.Errorf("got  %s\nwant %s", got, want)
	}
}

func (s *stage) wantSilence(p *netpolltest.Peer) {
	s.t.Helper()
	if got := p.Read(); len(got) > 0 {
		s.t.Errorf("got %q", got)
	}
}

// wantClean checks that no poll is left, nor anything of one.
func (s *stage) wantClean() {
	s.t.Helper()
	if n := s.h.polls.Len() + s.h.texts.blocks.Len() + s.h.early.Len() + len(s.h.mounts) + len(s.h.holders); n > 0 || s.h.held != 0 {
		s.t.Errorf("%d records are left, and %d bytes", n, s.h.held)
	}
}

func TestPollGetsTheFirstMessage(t *testing.T) {
	s := newStage(t, broadcast.Disconnect, 10)
	p := s.poll(nil, "kept.a", "", 25*time.Second)
	s.Advance(20 * time.Second)
	s.wantSilence(p)
	s.publish("kept.a", broadcast.JSON, `{"n": 1}`)
	lines, body := s.answer(p)
	if want := `{"messages":[{"topic":"kept.a","data":{"n": 1},"offset":"e1.1"}],"after":"e1.1"}`; body != want {
		t.Errorf("got %s", body)
	}
	want := []string{"HTTP/1.1 200 OK", "Content-Type: application/json", fmt.Sprintf("Content-Length: %d", len(body)),
		"Cache-Control: no-store", "Date: Sun, 01 Nov 2026 12:00:00 GMT"}
	if !slices.Equal(lines, want) {
		t.Errorf("got %q", lines)
	}
	// What is published between two polls comes with the next one, at once, and bytes in base64.
	s.publish("kept.a", broadcast.Text, `"offset":"x.9"`)
	s.publish("kept.a", broadcast.Binary, "\x00\xff")
	s.poll(p, "kept.a", "e1.1", 25*time.Second)
	s.wantBody(p, `{"messages":[{"topic":"kept.a","data":"\"offset\":\"x.9\"","offset":"e1.2"},{"topic":"kept.a","data_base64":"AP8=","offset":"e1.3"}],"after":"e1.3"}`)
	s.wantClean()
	if open, closed := s.count.OpenedTotal(), s.count.ClosedTotal(netpoll.ReasonLocal); open != 2 || closed != 2 {
		t.Errorf("%d opened, %d closed", open, closed)
	}
}

func TestPollEnds(t *testing.T) {
	s := newStage(t, broadcast.Disconnect, 10)
	p := s.poll(nil, "kept.a", "", 25*time.Second)
	s.Advance(26 * time.Second)
	s.wantBody(p, `{"messages":[],"after":"e1.0"}`)
	// Without a wait it is answered at once.
	s.poll(p, "kept.a", "", 0)
	s.wantBody(p, `{"messages":[],"after":"e1.0"}`)
	// It does not wait longer than its client's rights last.
	s.poll(p, "kept.a", "", 25*time.Second, func(p *Params) { p.Who = &auth.Principal{Expires: s.Now() + 5*time.Second} })
	s.Advance(6 * time.Second)
	s.wantBody(p, `{"messages":[],"after":"e1.0"}`)
	// The connection goes on with another request, and ends when none comes.
	p.Write([]byte("GET / HTTP/1.1\r\n"))
	s.Settle()
	if string(s.head.got) != "GET / HTTP/1.1\r\n" {
		t.Errorf("the head role got %q", s.head.got)
	}
	s.poll(p, "kept.a", "", 0)
	p.Read()
	s.Advance(KeepAliveTimeout + time.Second)
	if !p.Closed() {
		t.Error("a connection without a request stays")
	}
	// A client that goes frees its poll.
	p = s.poll(nil, "kept.a,b", "", time.Second)
	p.Reset()
	s.Settle()
	s.wantClean()
}

func TestPollOfSeveralTopics(t *testing.T) {
	s := newStage(t, broadcast.Disconnect, 10)
	topics := `kept.a,b,kept."c"`
	sum := fmt.Sprintf(";%x", history.TopicsSum(strings.Split(topics, ",")))
	p := s.poll(nil, topics, "", time.Second)
	s.publish(`kept."c"`, broadcast.Text, "one")
	s.wantBody(p, `{"messages":[{"topic":"kept.\"c\"","data":"one","offset":"e2.1"}],"after":"e1.0,-,e2.1`+sum+`"}`)
	s.publish("kept.a", broadcast.Text, "two")
	s.publish("b", broadcast.Text, "not kept")
	s.poll(p, topics, "e1.0,-,e2.1"+sum, time.Second)
	s.wantBody(p, `{"messages":[{"topic":"kept.a","data":"two","offset":"e1.1"}],"after":"e1.1,-,e2.1`+sum+`","reset":[{"topic":"b","reason":"unknown"}]}`)
	// Other topics than those of the position.
	s.poll(p, "kept.a,b", "e1.1,-,e2.1"+sum, time.Second)
	sum = fmt.Sprintf(";%x", history.TopicsSum([]string{"kept.a", "b"}))
	s.wantBody(p, `{"messages":[],"after":"e1.1,-`+sum+`","reset":[{"topic":"kept.a","reason":"unknown","offset":"e1.1"},{"topic":"b","reason":"unknown"}]}`)
	s.wantClean()
}

func TestPollThatCannotResume(t *testing.T) {
	s := newStage(t, broadcast.Disconnect, 2)
	for i := range 5 {
		s.publish("kept.a", broadcast.Text, fmt.Sprint(i))
	}
	var p *netpolltest.Peer
	for after, reason := range map[string]string{"e1.1": "expired", "e9.4": "epoch", "e1.9": "unknown", "-": "unknown", "nonsense": "unknown", "e1." + strings.Repeat("9", 30): "unknown"} {
		p = s.poll(p, "kept.a", after, 25*time.Second)
		s.wantBody(p, `{"messages":[],"after":"e1.5","reset":[{"topic":"kept.a","reason":"`+reason+`","offset":"e1.5"}]}`)
	}
	// A topic without history says so with the next answer. To say it at once would have a client poll
	// without end.
	s.poll(p, "b", "-", 25*time.Second)
	s.Advance(20 * time.Second)
	s.wantSilence(p)
	s.publish("b", broadcast.Text, "x")
	s.wantBody(p, `{"messages":[{"topic":"b","data":"x"}],"after":"-","reset":[{"topic":"b","reason":"unknown"}]}`)
	// Nor is there a position for a client without the right to the history.
	s.poll(p, "kept.a", "", 25*time.Second, func(p *Params) { p.Kept[0] = false })
	s.publish("kept.a", broadcast.Text, "x")
	s.wantBody(p, `{"messages":[{"topic":"kept.a","data":"x","offset":"e1.6"}],"after":"-"}`)
}

func TestPollMissesNothing(t *testing.T) {
	for _, policy := range []broadcast.Policy{broadcast.Disconnect, broadcast.DropOldest, broadcast.DropNewest} {
		s := newStage(t, policy, 20000)
		big := strings.Repeat("x", 3000)
		var p *netpolltest.Peer
		after, next := "e1.0", 1
		for next <= 600 {
			if next == 1 {
				for i := 1; i <= 600; i++ {
					s.Hub.Publish("kept.a", broadcast.Text, []byte(fmt.Sprint(i, " ", big)))
				}
			}
			p = s.poll(p, "kept.a", after, time.Second)
			s.Advance(2 * time.Second)
			_, body := s.answer(p)
			var answer struct {
				Messages []struct{ Data, Offset string }
				After    string
				Reset    []any
			}
			if err := json.Unmarshal([]byte(body), &answer); err != nil || answer.Reset != nil || len(body) > 2*AnswerBytesMax+4000 {
				t.Fatal(err, answer.Reset, len(body))
			}
			for _, m := range answer.Messages {
				if want := fmt.Sprintf("e1.%d", next); m.Offset != want || !strings.HasPrefix(m.Data, fmt.Sprint(next, " ")) {
					t.Fatalf("%v: got %s, want %s", policy, m.Offset, want)
				}
				next++
			}
			if len(answer.Messages) == 0 {
				t.Fatalf("%v: nothing behind %s", policy, after)
			}
			after = answer.After
		}
	}
}

func TestPollIsStopped(t *testing.T) {
	empty := `{"messages":[],"after":"e1.0"}`
	for name, c := range map[string]struct {
		stop   func(s *stage) func(*netpoll.Loop, *netpoll.Conn)
		reason netpoll.Reason
		status string
		body   string
	}{
		"drain":  {func(s *stage) func(*netpoll.Loop, *netpoll.Conn) { return s.h.Drain }, netpoll.ReasonDrain, "200 OK", empty},
		"kick":   {func(s *stage) func(*netpoll.Loop, *netpoll.Conn) { return s.h.Kick }, netpoll.ReasonAdmin, "200 OK", empty},
		"memory": {func(s *stage) func(*netpoll.Loop, *netpoll.Conn) { return s.h.Shed }, netpoll.ReasonMemory, "503 Service Unavailable", edge.RefuseMemory.Reason + "\n"},
		"revoke": {func(s *stage) func(*netpoll.Loop, *netpoll.Conn) { return s.h.Revoke }, netpoll.ReasonRevoked, "401 Unauthorized", "the token was revoked\n"},
	} {
		s := newStage(t, broadcast.Disconnect, 10)
		p := s.poll(nil, "kept.a", "", time.Minute, func(p *Params) {
			p.Lines, p.Who = []byte("Access-Control-Allow-Origin: *\r\n"), &auth.Principal{Subject: "ann"}
		})
		s.Do(p, func(l *netpoll.Loop, c *netpoll.Conn) {
			if who := s.h.Who(c); who == nil || who.Subject != "ann" {
				t.Errorf("%s: the poll speaks for nobody", name)
			}
		})
		s.Do(p, c.stop(s))
		lines, body := s.answer(p)
		if lines[0] != "HTTP/1.1 "+c.status || !slices.Contains(lines, "Access-Control-Allow-Origin: *") || !slices.Contains(lines, "Connection: close") || body != c.body {
			t.Errorf("%s: %q, %q", name, lines, body)
		}
		if n := s.count.ClosedTotal(c.reason); n != 1 || !p.Finished() {
			t.Errorf("%s: counted %d times", name, n)
		}
		s.wantClean()
		// Between two requests, too.
		p = s.poll(nil, "kept.a", "", 0)
		p.Read()
		s.Do(p, c.stop(s))
		if !p.Finished() {
			t.Errorf("%s: a connection without a request stays", name)
		}
	}
}

// TestPollOnTheSameConnection: a request that comes early is served behind the answer, and one that
// is too long ends the connection.
func TestPollOnTheSameConnection(t *testing.T) {
	s := newStage(t, broadcast.Disconnect, 10)
	p := s.poll(nil, "kept.a", "", time.Minute, func(p *Params) { p.Early = []byte("GET /a") })
	p.Write([]byte(" HTTP/1.1\r\n"))
	s.Settle()
	if got := s.h.HeldBytes(); got < 15 {
		t.Errorf("%d bytes are held", got)
	}
	s.publish("kept.a", broadcast.Text, "x")
	s.Advance(time.Second)
	s.wantBody(p, `{"messages":[{"topic":"kept.a","data":"x","offset":"e1.1"}],"after":"e1.1"}`)
	if string(s.head.got) != "GET /a HTTP/1.1\r\n" {
		t.Errorf("the head role got %q", s.head.got)
	}
	s.draining = true
	s.poll(p, "kept.a", "", 0)
	if lines, _ := s.answer(p); !slices.Contains(lines, "Connection: close") {
		t.Errorf("a node that goes down answers %q", lines)
	}
	p = s.poll(nil, "kept.a", "", time.Minute)
	p.Write(make([]byte, EarlyBytesMax+1))
	s.Settle()
	if !p.Closed() {
		t.Error("the connection stays")
	}
	s.wantClean()
}

// FuzzEncode: an answer is JSON that has what was published, and its position is found.
func FuzzEncode(f *testing.F) {
	f.Add("a", "x", uint8(0), true)
	f.Add(`a","data":1},{`, `","offset":"e1.1"}`, uint8(1), false)
	f.Add("é", "\x00\xff", uint8(2), true)
	f.Add(",", "x", uint8('A'), true)
	f.Fuzz(func(t *testing.T, topic, payload string, k uint8, kept bool) {
		kind := broadcast.Kind(k % 3)
		if broadcast.ValidTopic(topic) != nil || kind == broadcast.JSON && (!json.Valid([]byte(payload)) || strings.TrimSpace(payload) != payload) ||
			kind == broadcast.Text && strings.ToValidUTF8(payload, "") != payload {
			return // no publisher may call it that
		}
		if kept {
			topic = "kept." + topic
		}
		if broadcast.ValidTopic(topic) != nil || strings.Contains(topic, ",") {
			return // the stage's list of topics has commas between them
		}
		s := newStage(t, broadcast.Disconnect, 10)
		p := s.poll(nil, topic+"2,"+topic, "", time.Minute)
		s.publish(topic, kind, payload)
		_, body := s.answer(p)
		var got struct {
			Messages []struct {
				Topic  string
				Data   json.RawMessage
				Base64 []byte `json:"data_base64"`
				Offset string
			}
			After string
		}
		if err := json.Unmarshal([]byte(body), &got); err != nil || len(got.Messages) != 1 || got.Messages[0].Topic != topic {
			t.Fatalf("%v: %s", err, body)
		}
		m := got.Messages[0]
		var text string
		switch {
		case kind == broadcast.Binary && string(m.Base64) != payload,
			kind == broadcast.JSON && !bytes.Equal(m.Data, []byte(payload)),
			kind == broadcast.Text && (json.Unmarshal(m.Data, &text) != nil || text != payload):
			t.Fatalf("%q became %s", payload, body)
		}
		if _, positions, _ := strings.Cut(got.After, ","); kept && !strings.HasPrefix(positions, m.Offset+";") || !kept && !strings.HasPrefix(positions, "-;") {
			t.Fatalf("%s", body)
		}
	})
}
