// Two servers that an adapter connects in one process.

package socketio

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// exchange connects the namespaces of several servers. Events are encoded and parsed on the way.
type exchange struct {
	t testing.TB

	mu    sync.Mutex // guards the field below
	peers []*peer
}

// peer is the Adapter of one namespace of one server.
type peer struct {
	*exchange
	local  *Local
	silent atomic.Bool // it executes requests and never answers
}

func (x *exchange) join(l *Local) Adapter {
	p := &peer{exchange: x, local: l}
	x.mu.Lock()
	x.peers = append(x.peers, p)
	x.mu.Unlock()
	return p
}

// others returns the peers of the same namespace.
func (p *peer) others() (list []*peer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, o := range p.peers {
		if o != p && o.local.Namespace().Name() == p.local.Namespace().Name() {
			list = append(list, o)
		}
	}
	return list
}

func (p *peer) carry(e Event) Event {
	payload, attachments := e.Encoded()
	e, err := ParseEvent(bytes.Clone(payload), attachments)
	if err != nil {
		p.t.Error(err)
	}
	return e
}

func (p *peer) Broadcast(b Broadcast) error {
	if err := p.local.Broadcast(b); err != nil {
		return err
	}
	for _, o := range p.others() {
		if len(b.Rooms) == 1 && !o.local.MayHaveRoom(b.Rooms[0]) {
			if b.Acks != nil {
				b.Acks.Clients(0)
			}
			continue
		}
		there := b
		there.Event = p.carry(b.Event)
		if b.Acks != nil {
			there.Acks = answers{o, b.Acks}
		}
		if err := o.local.Broadcast(there); err != nil {
			p.t.Error(err)
		}
	}
	return nil
}

// answers sends acknowledgements to the server that emitted.
type answers struct {
	from *peer
	to   Acks
}

func (a answers) Clients(n int) {
	if !a.from.silent.Load() {
		a.to.Clients(n)
	}
}

func (a answers) Answer(answer Args) {
	args, err := ParseArgs(answer.Encoded())
	if err != nil {
		a.from.t.Error(err)
	}
	if !a.from.silent.Load() {
		a.to.Answer(args)
	}
}

func (p *peer) Fetch(ctx context.Context, from Selection) ([]*RemoteSocket, error) {
	list, err := p.local.Fetch(ctx, from)
	for _, o := range p.others() {
		if o.silent.Load() {
			err = fmt.Errorf("%w: one is silent", ErrPartial)
			continue
		}
		there, _ := o.local.Fetch(ctx, from)
		for _, s := range there {
			text, err := json.Marshal(s)
			if err != nil {
				return nil, err
			}
			here, err := p.local.ParseSocket(text)
			if err != nil {
				return nil, err
			}
			list = append(list, here)
		}
	}
	return list, err
}

// each calls f for the Locals of all servers, this one first.
func (p *peer) each(f func(l *Local) error) error {
	errs := []error{f(p.local)}
	for _, o := range p.others() {
		errs = append(errs, f(o.local))
	}
	return errors.Join(errs...)
}

func (p *peer) AddRooms(of Selection, rooms []string) error {
	return p.each(func(l *Local) error { return l.AddRooms(of, rooms) })
}

func (p *peer) DelRooms(of Selection, rooms []string) error {
	return p.each(func(l *Local) error { return l.DelRooms(of, rooms) })
}

func (p *peer) Disconnect(of Selection, closing bool) error {
	return p.each(func(l *Local) error { return l.Disconnect(of, closing) })
}

func (p *peer) ServerSideEmit(e Event, _ time.Duration, done func([]Args, error)) error {
	var got []Args
	var err error
	for _, o := range p.others() {
		if done == nil {
			err = o.local.ServerSideEvent(p.carry(e), nil)
			continue
		}
		n := len(got)
		if wrong := o.local.ServerSideEvent(p.carry(e), func(a Args) { got = append(got, a) }); wrong != nil {
			p.t.Log(wrong)
		}
		if len(got) == n {
			err = ErrPartial
		}
	}
	if done != nil {
		done(got, err)
		return nil
	}
	return err
}

func (p *peer) Count(context.Context) (int, error) { return len(p.others()) + 1, nil }

func (p *peer) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.peers = slices.DeleteFunc(p.peers, func(o *peer) bool { return o == p })
	return nil
}

// pair is two servers with two clients each.
type pair struct {
	*exchange
	a, b           *Server
	a1, a2, b1, b2 *raw
}

func newPair(t *testing.T, o Options) *pair {
	p := &pair{exchange: &exchange{t: t}}
	o.Loops, o.Adapter = 2, p.join
	p.a, p.b = New(o), New(o)
	urlA, urlB := mount(t, p.a), mount(t, p.b)
	p.a1, p.a2 = dial(t, urlA).join(), dial(t, urlA).join()
	p.b1, p.b2 = dial(t, urlB).join(), dial(t, urlB).join()
	return p
}

// expect reads until "end", which is emitted to everybody.
func (p *pair) expect(t *testing.T, what string, want map[*raw]string) {
	t.Helper()
	p.must(p.a.Emit("end"))
	for i, c := range []*raw{p.a1, p.a2, p.b1, p.b2} {
		var got []string
		for m := c.read(); m != `42["end"]`; m = c.read() {
			got = append(got, m)
		}
		if s := strings.Join(got, " "); s != want[c] {
			t.Errorf("%s: client %d got %q, want %q", what, i, s, want[c])
		}
	}
}

func (p *pair) must(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

func TestAdapterBroadcasts(t *testing.T) {
	p := newPair(t, Options{})
	p.must(p.a.To(p.a1.id, p.b1.id).SocketsJoin("r"))
	p.must(p.a.To(p.b1.id).SocketsJoin("s"))
	p.must(p.b.In(p.a2.id).SocketsJoin("s"))
	for _, tt := range []struct {
		what string
		emit func() error
		want map[*raw]string
	}{
		{"all", func() error { return p.a.Emit("m", 1) },
			map[*raw]string{p.a1: `42["m",1]`, p.a2: `42["m",1]`, p.b1: `42["m",1]`, p.b2: `42["m",1]`}},
		{"room", func() error { return p.a.To("r").Emit("m", "x") }, map[*raw]string{p.a1: `42["m","x"]`, p.b1: `42["m","x"]`}},
		{"rooms", func() error { return p.b.To("r", "s").Emit("m") },
			map[*raw]string{p.a1: `42["m"]`, p.a2: `42["m"]`, p.b1: `42["m"]`}},
		{"except", func() error { return p.a.To("r").Except("s").Emit("m") }, map[*raw]string{p.a1: `42["m"]`}},
		{"all except", func() error { return p.a.Except("r", p.b2.id).Emit("m") }, map[*raw]string{p.a2: `42["m"]`}},
		{"one, by id", func() error { return p.a.To(p.b2.id).Emit("m") }, map[*raw]string{p.b2: `42["m"]`}},
		{"flags", func() error { return p.a.To("s").Volatile().Compress(false).Emit("m") },
			map[*raw]string{p.a2: `42["m"]`, p.b1: `42["m"]`}},
		{"local", func() error { return p.a.All().Local().Emit("m") }, map[*raw]string{p.a1: `42["m"]`, p.a2: `42["m"]`}},
		{"local room", func() error { return p.b.To("r").Local().Emit("m") }, map[*raw]string{p.b1: `42["m"]`}},
		{"binary", func() error {
			return p.a.To(p.b1.id).Emit("m", []byte("\x01\x02"), map[string]any{"b": []byte("\x03")})
		},
			map[*raw]string{p.b1: `452-["m",{"_placeholder":true,"num":0},{"b":{"_placeholder":true,"num":1}}] ` + "b:\x01\x02 b:\x03"}},
		{"left", func() error {
			return errors.Join(p.a.In("r").SocketsLeave("r"), p.b.To("r").Emit("m"))
		}, nil},
	} {
		if err := tt.emit(); err != nil {
			t.Fatal(tt.what, err)
		}
		p.expect(t, tt.what, tt.want)
	}
}

// An event from another server gets an offset of the log of this one, and keeps its arguments.
func TestAdapterWithRecovery(t *testing.T) {
	p := newPair(t, Options{Recovery: &Recovery{}})
	heard := make(chan string, 1)
	for _, s := range p.b.Of("/").Sockets() {
		if s.ID() == p.b1.id {
			s.OnAnyOutgoing(func(event string, args []any) { heard <- fmt.Sprint(event, args) })
		}
	}
	p.must(p.a.Emit("m", "x", 1, []byte{5}))
	for _, c := range []*raw{p.a1, p.a2, p.b1, p.b2} {
		if got := c.read(); !strings.HasPrefix(got, `451-["m","x",1,{"_placeholder":true,"num":0},"`) || !strings.HasSuffix(got, `"]`) {
			t.Errorf("got %q", got)
		}
	}
	if got := <-heard; got != "m[x 1 [5]]" {
		t.Errorf("heard %q", got)
	}
}

func TestRemoteSockets(t *testing.T) {
	p := newPair(t, Options{})
	for _, s := range p.b.Of("/").Sockets() {
		s.SetData(map[string]any{"u": 1})
	}
	ids := func(list []*RemoteSocket, err error) string {
		t.Helper()
		p.must(err)
		var got []string
		for _, s := range list {
			got = append(got, s.ID)
		}
		slices.Sort(got)
		return strings.Join(got, " ")
	}
	sorted := func(clients ...*raw) string {
		var want []string
		for _, c := range clients {
			want = append(want, c.id)
		}
		slices.Sort(want)
		return strings.Join(want, " ")
	}
	if got, want := ids(p.a.FetchSockets(t.Context())), sorted(p.a1, p.a2, p.b1, p.b2); got != want {
		t.Errorf("all: %s, want %s", got, want)
	}
	if got, want := ids(p.a.All().Local().FetchSockets(t.Context())), sorted(p.a1, p.a2); got != want {
		t.Errorf("local: %s, want %s", got, want)
	}
	list, err := p.a.To(p.b1.id).FetchSockets(t.Context())
	if p.must(err); len(list) != 1 {
		t.Fatalf("%d sockets have the id", len(list))
	}
	far := list[0]
	h := far.Handshake
	if fmt.Sprint(far.Data) != "map[u:1]" || fmt.Sprint(far.Rooms) != "["+p.b1.id+"]" || h.ID() != p.b1.id || h.Namespace() != "/" ||
		h.Query().Get("EIO") != "4" || h.Header("Host") == "" || !h.Address().IsLoopback() || h.Time().IsZero() || h.Secure() {
		t.Errorf("%+v, handshake %+v", far, *h)
	}
	p.must(far.Join("x", "y"))
	p.must(far.Leave("y"))
	p.must(far.Target().To("none").Except("y").Emit("m", 1))
	p.must(far.Emit("n", 2))
	p.expect(t, "events", map[*raw]string{p.b1: `42["m",1] 42["n",2]`})
	if got := ids(p.a.To("x").FetchSockets(t.Context())); got != p.b1.id {
		t.Errorf("in x: %s", got)
	}

	answered := make(chan string, 1)
	p.must(far.Timeout(patience).Emit("q", func(err error, answer string) { answered <- fmt.Sprint(err, answer) }))
	id := strings.TrimSuffix(strings.TrimPrefix(p.b1.read(), "42"), `["q"]`)
	p.b1.send("43" + id + `["yes"]`)
	if got := <-answered; got != "<nil>yes" {
		t.Errorf("answer %q", got)
	}
	p.must(far.Disconnect(false))
	if got := p.b1.read(); got != "41" {
		t.Errorf("got %q", got)
	}
	if _, err := far.Timeout(patience).EmitWithAck(t.Context(), "q"); !errors.Is(err, ErrDisconnected) {
		t.Errorf("asked after it has left: %v", err)
	}
	p.must(far.Join("z"))
	p.must(p.a.To(p.b2.id, p.a2.id).DisconnectSockets(true))
	eventually(t, "they have left", func() bool { return p.a.Connections() == 1 && p.b.Connections() == 1 })
	if got := ids(p.b.FetchSockets(t.Context())); got != p.a1.id {
		t.Errorf("left over: %s", got)
	}

	p.peers[1].silent.Store(true)
	list, err = p.a.FetchSockets(t.Context())
	if !errors.Is(err, ErrPartial) || len(list) != 1 {
		t.Errorf("%d sockets, %v, want those of one server", len(list), err)
	}
}

func TestAdapterAcks(t *testing.T) {
	p := newPair(t, Options{})
	type outcome struct {
		answers []Args
		err     error
	}
	ask := func(to Target) chan outcome {
		done := make(chan outcome, 1)
		p.must(to.Emit("q", func(answers []Args, err error) { done <- outcome{answers, err} }))
		return done
	}
	reply := func(answer string, clients ...*raw) {
		for _, c := range clients {
			id := strings.TrimSuffix(strings.TrimPrefix(c.read(), "42"), `["q"]`)
			c.send("43" + id + `["` + answer + `"]`)
		}
	}
	done := ask(p.a.All().Timeout(patience))
	reply("yes", p.b1, p.b2, p.a1, p.a2)
	if o := <-done; o.err != nil || len(o.answers) != 4 || string(o.answers[0].JSON(0)) != `"yes"` {
		t.Errorf("%d answers, %v", len(o.answers), o.err)
	}
	done = ask(p.a.To(p.b1.id).Timeout(patience))
	reply("yes", p.b1)
	if o := <-done; o.err != nil || len(o.answers) != 1 {
		t.Errorf("of one elsewhere: %d answers, %v", len(o.answers), o.err)
	}
	done = ask(p.a.All().Local().Timeout(patience))
	reply("yes", p.a1, p.a2)
	if o := <-done; o.err != nil || len(o.answers) != 2 {
		t.Errorf("local: %d answers, %v", len(o.answers), o.err)
	}
	if answers, err := p.a.To("nobody").EmitWithAck(t.Context(), "q"); err != nil || len(answers) != 0 {
		t.Errorf("%d answers of nobody, %v", len(answers), err)
	}
	p.peers[1].silent.Store(true)
	// The answer of the other server comes in time, if that is long enough.
	for timeout := 100 * time.Millisecond; ; timeout *= 4 {
		done = ask(p.a.All().Timeout(timeout))
		reply("yes", p.a1, p.b1, p.b2)
		p.a2.read()
		o := <-done
		if !errors.Is(o.err, ErrTimeout) || !errors.Is(o.err, ErrPartial) || len(o.answers) > 1 || len(o.answers) == 0 && timeout > patience {
			t.Fatalf("with a silent server: %d answers, %v", len(o.answers), o.err)
		}
		if len(o.answers) == 1 {
			break
		}
	}
	if _, err := p.a.All().Local().Timeout(time.Millisecond).EmitWithAck(t.Context(), "q"); !errors.Is(err, ErrTimeout) || errors.Is(err, ErrPartial) {
		t.Errorf("local: %v", err)
	}
}

func TestServerSideEvents(t *testing.T) {
	p := newPair(t, Options{})
	heard := make(chan string, 8)
	listen := func(io *Server, name string) {
		io.OnServerSide("hello", func(n int, text string) { heard <- fmt.Sprint(name, n, text) })
		io.OnServerSide("ask", func(data []byte, ack func(string, []byte)) { ack("from "+name, data) })
		io.OnServerSide("ask", func(ack Ack) { _ = ack("the second listener's") })
		io.OnServerSide("panic", func(func()) { panic("of a listener") })
	}
	listen(p.a, "a")
	listen(p.b, "b")
	p.must(p.a.ServerSideEmit("hello", 1, "x"))
	if got := <-heard; got != "b1x" || len(heard) > 0 {
		t.Errorf("heard %q", got)
	}
	answers, err := p.b.Of("/").ServerSideEmitWithAck(t.Context(), "ask", []byte{7})
	p.must(err)
	if data, ok := answers[0].Bytes(1); len(answers) != 1 || string(answers[0].JSON(0)) != `"from a"` || !ok || data[0] != 7 {
		t.Errorf("answers %v", answers)
	}
	if err := p.a.ServerSideEmit("hello", "no number"); err == nil {
		t.Error("a listener was called with what does not fit")
	}
	if answers, err := p.a.Of("/").ServerSideEmitWithAck(t.Context(), "panic"); !errors.Is(err, ErrPartial) || len(answers) != 0 {
		t.Errorf("%d answers, %v", len(answers), err)
	}
	if err := p.a.ServerSideEmit("connection"); !errors.Is(err, ErrServerEvent) {
		t.Error(err)
	}
	if err := p.a.ServerSideEmit("hello", func(string) {}); err == nil {
		t.Error("a function that cannot be was taken")
	}
	if n, err := p.a.Of("/").Servers(t.Context()); n != 2 || err != nil {
		t.Errorf("%d servers, %v", n, err)
	}
	if n, err := p.a.Of("/other").Servers(t.Context()); n != 1 || err != nil {
		t.Errorf("%d servers with the other namespace, %v", n, err)
	}
	if n, err := New(Options{}).Of("/").Servers(t.Context()); n != 1 || err != nil {
		t.Errorf("%d servers without an adapter, %v", n, err)
	}
	for _, fn := range []any{func(*Socket) {}, func(error) {}, 1} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("a %T was taken", fn)
				}
			}()
			p.a.OnServerSide("bad", fn)
		}()
	}
}

func TestServerSideEmitWithoutAdapter(t *testing.T) {
	io := New(Options{})
	for _, tt := range []struct {
		event string
		args  []any
		want  error // nil: another one
	}{
		{"hello", []any{1, "a"}, ErrNoOtherServers},
		{"hello", []any{1, func([]Args, error) {}}, ErrNoOtherServers},
		{"hello", []any{make(chan int)}, nil},
		{"disconnect", nil, nil},
	} {
		err := io.ServerSideEmit(tt.event, tt.args...)
		if again := io.Of("/x").ServerSideEmit(tt.event, tt.args...); err == nil || errors.Is(err, ErrNoOtherServers) != (tt.want != nil) || again == nil || again.Error() != err.Error() {
			t.Errorf("%s: %v, %v, want %v", tt.event, err, again, tt.want)
		}
	}
}

// A Local may be used by goroutines that an adapter starts, before the namespace has the adapter.
func TestLocalIsReadyFirst(t *testing.T) {
	done := make(chan error, 1)
	io := New(Options{Adapter: func(l *Local) Adapter {
		go func() {
			e, err := NewEvent("m", 1)
			list, fetched := l.Fetch(t.Context(), Selection{})
			if len(list) > 0 || len(l.Rooms()) > 0 || l.MayHaveRoom("r") {
				err = errors.New("there are sockets")
			}
			done <- errors.Join(err, fetched, l.Broadcast(Broadcast{Event: e}), l.ServerSideEvent(e, nil))
		}()
		return l
	}})
	if err := io.Emit("m"); err != nil {
		t.Error(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestLocalRooms(t *testing.T) {
	p := newPair(t, Options{})
	p.must(p.a.SocketsJoin("r"))
	l := p.b.Of("/").local
	rooms := l.Rooms()
	slices.Sort(rooms)
	want := []string{p.b1.id, p.b2.id, "r"}
	slices.Sort(want)
	if !slices.Equal(rooms, want) {
		t.Errorf("rooms %q, want %q", rooms, want)
	}
	if !l.MayHaveRoom("r") || !l.MayHaveRoom(p.b1.id) {
		t.Error("a room with sockets is not seen")
	}
	eventually(t, "the queues are empty", func() bool { return !l.MayHaveRoom("empty") })
}

func TestAdaptersClose(t *testing.T) {
	x := &exchange{t: t}
	io := New(Options{Loops: 1, Adapter: x.join, CleanupEmptyNamespaces: true})
	io.OfMatch(func(h *Handshake) bool { return h.Namespace() == "/brief" })
	names := func() (list []string) {
		x.mu.Lock()
		defer x.mu.Unlock()
		for _, p := range x.peers {
			list = append(list, p.local.Namespace().Name())
		}
		return list
	}
	c := dial(t, mount(t, io)).join()
	c.send("40/brief,")
	if got := c.read(); !strings.HasPrefix(got, "40/brief,") {
		t.Fatalf("got %q", got)
	}
	if got := fmt.Sprint(names()); got != "[/ /brief]" {
		t.Errorf("adapters of %s", got)
	}
	c.send("41/brief,")
	eventually(t, "the namespace's adapter is closed", func() bool { return fmt.Sprint(names()) == "[/]" })
	if err := io.Close(); err != nil || len(names()) != 0 {
		t.Errorf("after Close: %v, adapters of %v", err, names())
	}
}

func TestParseEvent(t *testing.T) {
	one := [][]byte{{1}}
	for _, tt := range []struct {
		payload     string
		attachments [][]byte
		want        string // name and arguments; "": an error
	}{
		{` ["m",1,{"a":"é"}] `, nil, `m [1,{"a":"é"}]`},
		{`["m",{"_placeholder":true,"num":0}]`, one, `m [{"_placeholder":true,"num":0}]`},
		{`["\u006d"]`, nil, `m []`},
		{`[7,"x"]`, nil, `7 ["x"]`},
		{`["m",{"_placeholder":true,"num":0}]`, nil, ""},
		{`["m",{"_placeholder":true,"num":1}]`, one, ""},
		{`["m"`, nil, ""},
		{`{"m":1}`, nil, ""},
		{`[]`, nil, ""},
		{``, nil, ""},
		{`[{}]`, nil, ""},
		{`["disconnect"]`, nil, ""},
		{"[\"\xff\"]", nil, ""},
		{`["` + strings.Repeat("m", EventBytesMax+1) + `"]`, nil, ""},
		{`["m"` + strings.Repeat(",1", ArgumentsMax+1) + `]`, nil, ""},
		{`["m"]`, make([][]byte, AttachmentsMax+1), ""},
	} {
		payload := []byte(tt.payload)
		e, err := ParseEvent(payload, tt.attachments)
		got := ""
		if err == nil {
			args, _ := e.Args().Encoded()
			got = e.Name() + " " + string(args)
		}
		if got != tt.want || string(payload) != tt.payload {
			t.Errorf("%q: %q, %v, want %q", tt.payload, got, err, tt.want)
		}
	}
}

func FuzzParseEvent(f *testing.F) {
	f.Add([]byte(`["m",1,{"_placeholder":true,"num":0}]`), []byte{1})
	f.Add([]byte(`[7,[],{}]`), []byte(nil))
	f.Fuzz(func(t *testing.T, payload, attachment []byte) {
		var attachments [][]byte
		if attachment != nil {
			attachments = [][]byte{attachment}
		}
		e, err := ParseEvent(payload, attachments)
		if err != nil {
			return
		}
		again, err := ParseEvent(e.Encoded())
		if err != nil || again.Name() != e.Name() || again.Args().Len() != e.Args().Len() {
			t.Fatalf("%q is %+v, and then %+v, %v", payload, e, again, err)
		}
		if h := e.goValues(); h.event != e.Name() || len(h.args) != e.Args().Len() {
			t.Fatalf("%q in Go values: %+v", payload, h)
		}
		if args, err := ParseArgs(e.Args().Encoded()); err != nil || args.Len() != e.Args().Len() {
			t.Fatalf("arguments of %q: %v", payload, err)
		}
	})
}

// TestSocketWithoutData: programs of Node read members of the data of every socket.
func TestSocketWithoutData(t *testing.T) {
	p := newPair(t, Options{})
	list, err := p.a.To(p.a1.id).FetchSockets(t.Context())
	if err != nil || len(list) != 1 {
		t.Fatalf("%d sockets, %v", len(list), err)
	}
	for _, none := range []any{nil, map[string]any(nil)} {
		list[0].Data = none
		text, err := json.Marshal(list[0])
		if err != nil || !strings.HasSuffix(string(text), `,"data":{}}`) {
			t.Errorf("%s, %v", text, err)
		}
	}
}

func FuzzParseSocket(f *testing.F) {
	f.Add([]byte(`{"id":"2FjFmkMbAfEAwbkgAAAA","handshake":{"headers":{"host":"127.0.0.1:2561","a":["b","c\nd"]},` +
		`"time":"Mon Nov 23 2026 03:44:57 GMT+0000 (Coordinated Universal Time)","address":"127.0.0.1","xdomain":false,"secure":true,` +
		`"issued":1795405497467,"url":"/socket.io/?EIO=4","query":{"EIO":"4"},"auth":{}},"rooms":["r1"],"data":{"u":1}}`))
	f.Add([]byte(`{"id":"x","handshake":{"auth":null}}`))
	l := New(Options{}).root.local
	f.Fuzz(func(t *testing.T, p []byte) {
		s, err := l.ParseSocket(p)
		if err != nil {
			return
		}
		text, err := json.Marshal(s)
		if err != nil {
			t.Fatalf("%q: %v", p, err)
		}
		again, err := l.ParseSocket(text)
		if err != nil || again.ID != s.ID || again.Handshake.URL() != s.Handshake.URL() || again.Handshake.Address() != s.Handshake.Address() {
			t.Fatalf("%q is written as %q: %v", p, text, err)
		}
	})
}
