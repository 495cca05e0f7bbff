package server

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws/wsutil"
)

// presenceOf asks the API who is in a topic.
func presenceOf(t *testing.T, s *Server, query string) (status int, body string) {
	t.Helper()
	r, err := http.Get("http://" + s.AdminAddr().String() + "/v1/topics/" + query)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r.StatusCode, strings.TrimSpace(string(text))
}

func wantPresence(t *testing.T, s *Server, topic, want string) {
	t.Helper()
	last := ""
	defer func() {
		if t.Failed() {
			t.Logf("the last answer was %s", last)
		}
	}()
	eventually(t, "presence of "+topic+": "+want, func() bool {
		_, last = presenceOf(t, s, topic+"/presence")
		return last == want
	})
}

func withPresence(t *testing.T, c Config) *Server {
	c.Admin, c.Presence, c.TokenKeys = "127.0.0.1:0", []string{"room.>"}, []string{keyFile(t, tokenSecret)}
	return start(t, c)
}

func userToken(t *testing.T, sub string) string {
	return mint(t, sub, time.Hour, lists{"subscribe": []string{"room.>"}, "presence": []string{"room.a"}, "info": map[string]string{"name": strings.ToUpper(sub)}})
}

// TestPresenceOfAllTransports: a user with several connections is there once, whatever they speak.
func TestPresenceOfAllTransports(t *testing.T) {
	s := withPresence(t, Config{PublicTopics: []string{"room.>"}})
	address := s.Addr().String()
	ann, bob := "access_token="+userToken(t, "ann"), "access_token="+userToken(t, "bob")
	bare := dialWS(t, address, "/ws?topic=room.a&"+ann)
	wantPresence(t, s, "room.a", `{"topic":"room.a","count":1,"members":[{"sub":"ann","info":{"name":"ANN"},"conns":1}]}`)
	events := dialHTTP(t, address)
	events.send("GET /sse?topic=room.a&" + ann + " HTTP/1.1\r\nHost: h\r\n\r\n")
	poll := dialHTTP(t, address)
	poll.send("GET /poll?topic=room.a&wait=55s&" + bob + " HTTP/1.1\r\nHost: h\r\n\r\n")
	dialWS(t, address, "/ws?topic=room.a", subprotocol)
	wantPresence(t, s, "room.a", `{"topic":"room.a","count":3,"members":[{"sub":"ann","info":{"name":"ANN"},"conns":2},{"sub":"bob","info":{"name":"BOB"},"conns":1}]}`)
	bare.Close()
	events.Close()
	wantPresence(t, s, "room.a", `{"topic":"room.a","count":2,"members":[{"sub":"bob","info":{"name":"BOB"},"conns":1}]}`)
	poll.Close()
	wantPresence(t, s, "room.a", `{"topic":"room.a","count":1,"members":[]}`)
	for query, want := range map[string]int{"other/presence": 404, "room.b/presence": 200, "room.b/presence?after=x": 200, "room.b/presence?x=1": 400, "$presence.room.a/presence": 404} {
		if status, body := presenceOf(t, s, query); status != want {
			t.Errorf("%s: %d %s", query, status, body)
		}
	}
	// A client that says later who it is.
	late := dialWS(t, address, "/ws?topic=room.b", subprotocol)
	wantPresence(t, s, "room.b", `{"topic":"room.b","count":1,"members":[]}`)
	say(t, late, `{"type":"connect","token":"`+userToken(t, "eve")+`"}`)
	wantPresence(t, s, "room.b", `{"topic":"room.b","count":1,"members":[{"sub":"eve","info":{"name":"EVE"},"conns":1}]}`)
	say(t, late, `{"type":"refresh","token":"`+mint(t, "eve", time.Hour, lists{"subscribe": []string{"room.>"}, "info": "E"})+`"}`)
	wantPresence(t, s, "room.b", `{"topic":"room.b","count":1,"members":[{"sub":"eve","info":"E","conns":1}]}`)
	say(t, late, `{"type":"unsubscribe","topics":["room.b"]}`)
	wantPresence(t, s, "room.b", `{"topic":"room.b","count":0,"members":[]}`)
}

// frameWith reads messages until one has all of the texts.
func frameWith(t *testing.T, c net.Conn, texts ...string) string {
	t.Helper()
	for {
		got, _, err := wsutil.ReadServerData(c)
		if err != nil {
			t.Fatalf("waiting for %q: %v", texts, err)
		}
		all := true
		for _, text := range texts {
			all = all && strings.Contains(string(got), text)
		}
		if all {
			return string(got)
		}
	}
}

func TestPresenceCommand(t *testing.T) {
	s := withPresence(t, Config{PublicTopics: []string{"room.>"}})
	address := s.Addr().String()
	ann := dialWS(t, address, "/ws?topic=room.a&access_token="+userToken(t, "ann"), subprotocol)
	expectAll(t, ann, `{"type":"welcome","conn":"CONN","expires":CONN}`)
	for command, want := range map[string]string{
		`"topic":"room.b"`:             `"code":"forbidden"`,
		`"topic":"other"`:              `the members of this topic are not known`,
		`"topic":""`:                   `"code":"invalid_topic"`,
		`"watch":true`:                 `\"topic\" must be a string`,
		`"topic":"room.a","watch":1`:   `\"watch\" must be`,
		`"topic":"room.a","after":1`:   `\"after\" must be`,
		`"topic":"room.a","data":1`:    `takes no member but`,
		`"topic":"room.a","nothing":1`: `unknown member`,
	} {
		say(t, ann, `{"type":"presence",`+command+`}`)
		if got := read(t, ann); !strings.Contains(got, want) {
			t.Errorf("%s: %s", command, got)
		}
	}
	say(t, ann, `{"type":"subscribe","topics":["room.a"],"watch":true}`)
	if got := read(t, ann); !strings.Contains(got, "belong to") {
		t.Errorf("watch in a subscribe: %s", got)
	}
	say(t, ann, `{"type":"subscribe","topics":["$presence.room.b"]}`)
	if got := read(t, ann); !strings.Contains(got, `"code":"forbidden"`) {
		t.Errorf("without the right to presence: %s", got)
	}
	say(t, ann, `{"type":"publish","topic":"$presence.room.a","data":1}`)
	if got := read(t, ann); !strings.Contains(got, `"code":"forbidden"`) {
		t.Errorf("published to watchers: %s", got)
	}
	say(t, ann, `{"type":"presence","topic":"room.a","watch":true,"id":5}`)
	expectAll(t, ann, `{"type":"presence","id":5,"topic":"room.a","count":1,"members":[{"sub":"ann","info":{"name":"ANN"},"conns":1}]}`)
	bob := dialWS(t, address, "/ws?topic=room.a&access_token="+userToken(t, "bob"), subprotocol)
	expectAll(t, ann, `{"type":"presence","topic":"room.a","joined":[{"sub":"bob","info":{"name":"BOB"}}],"left":[],"count":2}`)
	bob.Close()
	expectAll(t, ann, `{"type":"presence","topic":"room.a","joined":[],"left":[{"sub":"bob"}],"count":1}`)
	say(t, ann, `{"type":"presence","topic":"room.a","watch":false,"after":"a","id":6}`)
	expectAll(t, ann, `{"type":"presence","id":6,"topic":"room.a","count":1,"members":[{"sub":"ann","info":{"name":"ANN"},"conns":1}]}`)
	if n := subscribers(s, "$presence.room.a"); n != 0 {
		t.Errorf("%d watchers", n)
	}
}

// TestPresenceEvents: a stream of events tells who is in a topic, and what changes.
// It takes seconds, because changes are told once a second.
func TestPresenceEvents(t *testing.T) {
	s := withPresence(t, Config{PublicTopics: []string{"room.>"}, History: []string{"room.a=10,1m"}})
	address, query := s.Addr().String(), "/sse?access_token="+userToken(t, "ann")
	for more, want := range map[string]int{
		"&watch=room.b":                             403,
		"&watch=room.a&watch=room.b":                403,
		"&watch=other":                              400,
		"&watch=":                                   400,
		"&watch=$presence.room.a":                   400,
		"&watch=room." + strings.Repeat("a", 250):   400,
		"&watch=room." + strings.Repeat("a", 241):   400,
		"&watch=room." + strings.Repeat("a", 240):   403,
		"&form=c100k.v1&watch=room.a&topic=$system": 403,
	} {
		if got := get(t, "http://"+address+query+more); got != want {
			t.Errorf("%s: %d, not %d", more, got, want)
		}
	}
	const (
		none = `{"type":"presence","topic":"room.a","count":0,"members":[]}`
		came = `{"type":"presence","topic":"room.a","joined":[{"sub":"bob","info":{"name":"BOB"}}],"left":[],"count":1}`
		left = `{"type":"presence","topic":"room.a","joined":[],"left":[{"sub":"bob"}],"count":0}`
	)
	plain := openEvents(t, address, query+"&watch=room.a&watch=room.a")
	plain.until(t, "event: presence\ndata: "+none)
	several := openEvents(t, address, query+"&form=c100k.v1&watch=room.a&topic=room.b&topic=room.c")
	several.until(t, "data: "+none)
	kept := openEvents(t, address, query+"&watch=room.a&topic=room.a&topic=room.b")
	kept.until(t, "event: presence\ndata: "+`{"type":"presence","topic":"room.a","joined":[{"sub":"ann","info":{"name":"ANN"}}],"left":[],"count":1}`)
	kept.r.Body.Close()
	plain.until(t, "event: presence\ndata: "+`{"type":"presence","topic":"room.a","joined":[],"left":[{"sub":"ann"}],"count":0}`)
	bob := dialWS(t, address, "/ws?topic=room.a&access_token="+userToken(t, "bob"), subprotocol)
	plain.until(t, "event: presence\ndata: "+came)
	several.until(t, "data: "+came)
	bob.Close()
	plain.until(t, "event: presence\ndata: "+left)
	several.until(t, "data: "+left)
	plain.r.Body.Close()
	several.r.Body.Close()
	eventually(t, "no watchers", func() bool { return subscribers(s, "$presence.room.a") == 0 })
}

// TestPresenceOverNodes: two nodes know the members of both, and those of one that ends vanish.
func TestPresenceOverNodes(t *testing.T) {
	url := busURL(startNATS(t, -1))
	a, b := withPresence(t, Config{Bus: url}), withPresence(t, Config{Bus: url})
	dialWS(t, a.Addr().String(), "/ws?topic=room.a&access_token="+userToken(t, "ann"), subprotocol)
	watcher := dialWS(t, b.Addr().String(), "/ws?topic=room.a&access_token="+userToken(t, "ann"), subprotocol)
	for range 20 {
		dialWS(t, a.Addr().String(), "/ws?topic=room.a&access_token="+userToken(t, "bob"), subprotocol)
	}
	const both = `{"topic":"room.a","count":2,"members":[{"sub":"ann","info":{"name":"ANN"},"conns":2},{"sub":"bob","info":{"name":"BOB"},"conns":20}]}`
	wantPresence(t, a, "room.a", both)
	wantPresence(t, b, "room.a", both)
	say(t, watcher, `{"type":"presence","topic":"room.a","watch":true,"id":5}`)
	frameWith(t, watcher, `"id":5`, `"count":2`)
	c := withPresence(t, Config{Bus: url})
	wantPresence(t, c, "room.a", both)
	a.Close()
	frameWith(t, watcher, `"left":[{"sub":"bob"}]`, `"count":1`)
	wantPresence(t, c, "room.a", `{"topic":"room.a","count":1,"members":[{"sub":"ann","info":{"name":"ANN"},"conns":1}]}`)
}

// TestPresencePages: a topic with more users than a page.
func TestPresencePages(t *testing.T) {
	s := withPresence(t, Config{})
	for i := range 1100 {
		s.attendance.table.Say(change("room.a", nil, true, false))
		c := change("room.a", nil, true, false)
		c.Sub = fmt.Sprintf("u%04d", i)
		s.attendance.table.Say(c)
	}
	var page struct {
		Count   int
		Members []struct{ Sub string }
		Next    string
	}
	eventually(t, "members", func() bool {
		_, body := presenceOf(t, s, "room.a/presence")
		return json.Unmarshal([]byte(body), &page) == nil && page.Count == 2200
	})
	if len(page.Members) != 1000 || page.Next != "u0999" {
		t.Errorf("%d members, next %s", len(page.Members), page.Next)
	}
	_, body := presenceOf(t, s, "room.a/presence?after="+page.Next)
	page.Next = ""
	if err := json.Unmarshal([]byte(body), &page); err != nil || len(page.Members) != 100 || page.Next != "" {
		t.Errorf("%v: %d members, next %q", err, len(page.Members), page.Next)
	}
}
