// Calls that Node's server has too: middlewares that join and emit, calls for all namespaces of a
// rule, listeners that are removed, transports, and what decides on a handshake.

package socketio

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A middleware can put the socket into rooms and emit to it; the client gets that after CONNECT, in
// order, and up to a bound. A client that is refused gets nothing.
func TestMiddlewareUsesSocket(t *testing.T) {
	io := New(Options{Loops: 1})
	io.UseAsync(func(h *Handshake, next func(error)) {
		s := h.Socket()
		_ = s.Emit("first", s.ID() == h.ID(), s.Connected())
		_ = s.Join("room")
		for i := range earlyMax + 5 {
			_ = s.Emit("n", i)
		}
		s.On("echo", func(text string) { _ = s.Emit("echo", text) })
		go next(nil)
	})
	io.Of("/closed").Use(func(h *Handshake) error {
		_ = h.Socket().Emit("lost")
		return errors.New("no")
	})
	io.OnConnection(func(s *Socket) { _ = io.To("room").Emit("joined", len(s.Rooms())) })
	c := dial(t, mount(t, io)).join()
	if got := c.read(); got != `42["first",true,false]` {
		t.Error(got)
	}
	for i := range earlyMax - 1 {
		if got, want := c.read(), fmt.Sprintf(`42["n",%d]`, i); got != want {
			t.Fatalf("%s, want %s", got, want)
		}
	}
	if got := c.read(); got != `42["joined",2]` {
		t.Error(got)
	}
	for _, tt := range [][2]string{
		{`42["echo","x"]`, `42["echo","x"]`}, {"40/closed,", `44/closed,{"message":"no"}`}, {`42["echo","y"]`, `42["echo","y"]`},
	} {
		c.send(tt[0])
		if got := c.read(); got != tt[1] {
			t.Errorf("%s, want %s", got, tt[1])
		}
	}
}

// Calls of a Dynamic reach the sockets of all its namespaces and of no other.
func TestDynamicOperators(t *testing.T) {
	io := New(Options{Loops: 2})
	games := io.OfPattern(regexp.MustCompile(`^/game-\d$`))
	left := make(chan string, 2)
	games.On("join", func(s *Socket, room string, ack func()) { _ = s.Join(room); ack() })
	games.OnDisconnect(func(s *Socket, _ Reason) { left <- s.Namespace().Name() })
	url := mount(t, io)
	one, two, other := dial(t, url), dial(t, url), dial(t, url).join()
	for i, c := range []*raw{one, two} {
		nsp := fmt.Sprintf("/game-%d", i)
		c.send("40"+nsp+",", "42"+nsp+`,7["join","red"]`)
		c.read()
		if got := c.read(); got != "43"+nsp+",7[]" {
			t.Fatal(got)
		}
	}
	if err := games.Emit("all", 1); err != nil {
		t.Error(err)
	}
	_ = games.To("red").Volatile().Emit("red")
	_ = games.Except("red").Emit("nobody")
	_ = games.Send("hello")
	_ = games.All().SocketsJoin("blue")
	_ = games.In("blue").Emit("blue")
	if list, err := games.All().FetchSockets(t.Context()); err != nil || len(list) != 2 {
		t.Errorf("%d sockets, %v", len(list), err)
	}
	if err := games.Emit("acks", func([]Args, error) {}); !errors.Is(err, ErrDynamic) {
		t.Error(err)
	}
	_ = games.All().DisconnectSockets(false)
	for i, c := range []*raw{one, two} {
		nsp := fmt.Sprintf("/game-%d,", i)
		for _, want := range []string{"42" + nsp + `["all",1]`, "42" + nsp + `["red"]`, "42" + nsp + `["message","hello"]`, "42" + nsp + `["blue"]`, "41" + nsp} {
			if got := c.read(); got != want {
				t.Errorf("%s, want %s", got, want)
			}
		}
	}
	names := []string{<-left, <-left}
	slices.Sort(names)
	if fmt.Sprint(names) != "[/game-0 /game-1]" {
		t.Error(names)
	}
	_ = io.Send("end")
	if got := other.read(); got != `42["message","end"]` {
		t.Error(got)
	}
}

// What a method that adds a listener returns removes that listener, and no other.
func TestRemoveListeners(t *testing.T) {
	io := New(Options{Loops: 1})
	heard := make(chan string, 20)
	note := func(text string) { heard <- text }
	io.OnConnection(func(s *Socket) {
		removeA := s.On("e", func() { note("a") })
		s.On("e", func() { note("b") })
		removeOnce := s.Once("e", func() { note("once") })
		removeAny := s.OnAny(func(string, Args) { note("any") })
		s.PrependAny(func(string, Args) { note("before any") })
		removeOut := s.OnAnyOutgoing(func(string, []any) { note("out") })
		s.PrependAnyOutgoing(func(string, []any) { note("before out") })
		s.On("remove", func() {
			removeA()
			removeA()
			removeOnce()
			removeAny()
			removeOut()
			_ = s.Emit("removed", s.Listeners("e"), s.Listeners("nothing"))
		})
		_ = s.Emit("ready", s.Listeners("e"), s.Transport(), s.Handshake().Version(), s.Server() == s.Namespace().Server(), io.Of("/").Socket(s.ID()) == s, len(io.Of("/").Rooms()))
	})
	c := dial(t, mount(t, io)).join()
	if got := c.read(); got != `42["ready",3,"websocket",4,true,true,1]` {
		t.Error(got)
	}
	c.send(`42["remove"]`)
	if got := c.read(); got != `42["removed",1,0]` {
		t.Error(got)
	}
	c.send(`42["e"]`, `42["remove"]`)
	c.read()
	got := make([]string, 9)
	for i := range got {
		got[i] = <-heard
	}
	want := "before out,out,before any,any,before out,before any,b,before any,before out"
	if strings.Join(got, ",") != want {
		t.Errorf("%s, want %s", strings.Join(got, ","), want)
	}
}

// Authorize may block, decides on handshakes alone, and its requests are like those of net/http. A
// panic refuses.
func TestAuthorize(t *testing.T) {
	var refused []string
	failed := make(chan ConnectionError, 10)
	hold := make(chan struct{})
	server := New(Options{
		Loops: 2, Cookie: "io", CookieAttributes: "Path=/app; Secure",
		Authorize: func(r *http.Request) error {
			switch r.Header.Get("X-Key") {
			case "wait":
				<-hold
			case "":
				return errors.New("no key for " + r.URL.Query().Get("transport") + " from " + strings.Split(r.RemoteAddr, ":")[0])
			case "panic":
				panic("of Authorize, which is logged")
			case "end":
				<-r.Context().Done()
				return context.Cause(r.Context())
			}
			return nil
		},
		AllowOrigin: func(_ *Request, origin string) bool { return strings.HasSuffix(origin, ".example") },
		OnConnectionError: func(e ConnectionError) {
			failed <- ConnectionError{Code: e.Code, Message: e.Message + " " + e.Request.Method()}
		},
	})
	url := mount(t, server)
	get := func(query, key string, fields ...string) (int, string, http.Header) {
		q, err := http.NewRequestWithContext(t.Context(), "GET", url+"/socket.io/?EIO=4&transport=polling"+query, nil)
		if err != nil {
			t.Fatal(err)
		}
		if key != "" {
			q.Header.Set("X-Key", key)
		}
		for i := 0; i < len(fields); i += 2 {
			q.Header.Set(fields[i], fields[i+1])
		}
		r, err := http.DefaultClient.Do(q)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		body, _ := io.ReadAll(r.Body)
		return r.StatusCode, string(body), r.Header
	}
	if code, body, _ := get("", ""); code != 403 || body != `{"code":4,"message":"no key for polling from 127.0.0.1"}` {
		t.Error(code, body)
	}
	if code, body, _ := get("", "panic"); code != 403 || body != `{"code":4,"message":"Forbidden"}` {
		t.Error(code, body)
	}
	go close(hold)
	code, body, header := get("", "wait", "Origin", "http://a.example")
	if code != 200 || !strings.HasPrefix(body, "0{") || header.Get("Access-Control-Allow-Origin") != "http://a.example" {
		t.Error(code, body, header)
	}
	if cookies := header.Values("Set-Cookie"); !slices.ContainsFunc(cookies, func(cookie string) bool {
		return strings.HasPrefix(cookie, "io=") && strings.HasSuffix(cookie, "; Path=/app; Secure")
	}) {
		t.Error(cookies)
	}
	if code, body, _ := get("", "good", "Origin", "http://b.test"); code != 403 {
		t.Error(code, body)
	}
	if code, body, _ := get("&sid=nobody", ""); code != 400 || body != `{"code":1,"message":"Session ID unknown"}` {
		t.Error(code, body)
	}
	for range 4 {
		e := <-failed
		refused = append(refused, fmt.Sprint(e.Code, " ", e.Message))
	}
	if want := "[4 no key for polling from 127.0.0.1 GET 4 Forbidden GET 4 the Origin \"http://b.test\" is not allowed here; --origin allows it GET 1 Session ID unknown GET]"; fmt.Sprint(refused) != want {
		t.Errorf("%v, want %s", refused, want)
	}
}
