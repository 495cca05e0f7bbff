package server

import (
	"bytes"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws/wsutil"

	"c100k/broadcast"
	"c100k/internal/auth"
	"c100k/internal/bus"
)

// A message says who has published it where the topic does that and the client was identified, on
// the other nodes too.
func TestFrom(t *testing.T) {
	s := &Server{}
	ann := &auth.Principal{Subject: "ann"}
	if got := s.from(ann, "chat.a"); got != "" {
		t.Errorf("without topics that say it: %q", got)
	}
	s.marks = func(topic string) bool { return strings.HasPrefix(topic, "chat.") }
	for _, tt := range []struct {
		who         *auth.Principal
		topic, want string
	}{{ann, "chat.a", "ann"}, {ann, "news", ""}, {nil, "chat.a", ""}} {
		if got := s.from(tt.who, tt.topic); got != tt.want {
			t.Errorf("%v, %s: %q", tt.who, tt.topic, got)
		}
	}
	for _, post := range []broadcast.Post{
		{Kind: broadcast.JSON, Payload: []byte("1")}, {Kind: broadcast.Text, Payload: []byte("x"), From: "ann"},
		{Kind: broadcast.Binary, Payload: []byte{}, From: strings.Repeat("u", auth.SubjectBytesMax)},
	} {
		m := onBus("chat.a", &post)
		got, ok := postOf(m)
		if !ok || got.Kind != post.Kind || got.From != post.From || !bytes.Equal(got.Payload, post.Payload) {
			t.Errorf("%+v became %+v, %v", post, got, ok)
		}
		if post.From != "" && m.Kind <= uint8(broadcast.Binary) {
			t.Error("a node that does not know this would take the subject for a payload")
		}
	}
}

// FuzzPostOf reads any message of the bus: what it takes is the same when it is sent again.
func FuzzPostOf(f *testing.F) {
	f.Add(uint8(0), []byte("x"))
	f.Add(uint8(kindSigned), []byte("\x03annx"))
	f.Add(uint8(kindSigned+1), []byte("\x03an"))
	f.Add(uint8(kindSigned), []byte{})
	f.Add(uint8(kindSigned), []byte{1, 0xff, 'x'})
	f.Add(uint8(3), []byte{})
	f.Fuzz(func(t *testing.T, kind uint8, payload []byte) {
		post, ok := postOf(bus.Message{Kind: kind, Payload: payload})
		if !ok {
			return
		}
		again, ok := postOf(onBus("t", &post))
		if !ok || again.From != post.From || again.Kind != post.Kind || !bytes.Equal(again.Payload, post.Payload) {
			t.Errorf("%+v became %+v", post, again)
		}
	})
}

// A client of c100k.v1 reads who has published what another one sent, and what one of Socket.IO
// sent; the bare form has no place for it.
func TestFromIsShown(t *testing.T) {
	s := startWith(t, Config{TokenKeys: []string{keyFile(t, tokenSecret)}, PublicTopics: []string{">"}, Loops: 1}, func(s *Server) {
		s.marks = func(topic string) bool { return topic == "room" }
	})
	token := mint(t, "ann", time.Hour, lists{"publish": []string{">"}})
	reader := dialWS(t, s.Addr().String(), "/ws?topic=room&topic=other", subprotocol)
	bare := dialWS(t, s.Addr().String(), "/ws?topic=room")
	publisher := dialWS(t, s.Addr().String(), "/ws?access_token="+token, subprotocol)
	for _, c := range []net.Conn{reader, publisher} {
		if text, err := wsutil.ReadServerText(c); err != nil || !strings.HasPrefix(string(text), `{"type":"welcome"`) {
			t.Fatal(string(text), err)
		}
	}
	say(t, publisher, `{"type":"publish","topic":"room","data":{"n":1},"id":1}`)
	expectText(t, reader, `{"type":"message","topic":"room","from":"ann","data":{"n":1}}`)
	expectText(t, bare, `{"n":1}`)
	say(t, publisher, `{"type":"publish","topic":"other","data":2}`)
	expectText(t, reader, `{"type":"message","topic":"other","data":2}`)
	client := dialSIO(t, s, "")
	client.call(login("", token), "40{")
	client.send(`42["publish","room","hi"]`)
	expectText(t, reader, `{"type":"message","topic":"room","from":"ann","data":"hi"}`)
	if _, err := s.Publish("room", broadcast.Text, []byte("from Go")); err != nil {
		t.Fatal(err)
	}
	expectText(t, reader, `{"type":"message","topic":"room","data":"from Go"}`)
}
