package topicws

import (
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"
	"unsafe"

	"c100k/broadcast"
	"c100k/frame"
	"c100k/internal/auth"
	"c100k/internal/prototest"
	"c100k/internal/wsconn"
	"c100k/netpoll"
	"c100k/netpoll/netpolltest"
)

var forms = FormsFrom(0)

// layered has the clients of a node speak a layer below WebSocket.
func layered(o *prototest.Options) { o.Layered = true }

func node(t testing.TB, seed uint64, policy broadcast.Policy, outbox int, with ...func(*prototest.Options)) (*prototest.Node, *Handler) {
	var h *Handler
	o := prototest.Options{
		Seed:               seed,
		Encoders:           Encoders(),
		Policy:             policy,
		OutboxBytesMax:     outbox,
		TopicsPerMemberMax: 3,
		Gap: func(dst []byte, f broadcast.Form, topic string, missed uint32) []byte {
			if f >= forms.Envelope {
				return AppendGap(dst, topic, uint64(missed))
			}
			return dst
		},
		Handlers: func(n *prototest.Node) (hs [netpoll.RolesMax]netpoll.Handler) {
			h = NewHandler(Config{
				WebSocket: wsconn.Config{
					MessageBytesMax: 64 << 10, OutboxBytesMax: outbox,
					PingInterval: 30 * time.Second, PingTimeout: 10 * time.Second,
					Shard: n.Shard, Sink: n.Sink, Principals: &auth.Principals{},
				},
				Publish:      publisher(n.Hub),
				Identify:     identify,
				MaySubscribe: func(who *auth.Principal, topic string) bool { return who != nil && who.May(auth.Subscribe, topic, 0) },
				MayPublish:   func(who *auth.Principal, topic string) bool { return who != nil && who.May(auth.Publish, topic, 0) },
				Forms:        forms,
			})
			hs[1] = h
			return hs
		},
	}
	for _, f := range with {
		f(&o)
	}
	return prototest.NewNode(t, o), h
}

// publisher publishes to the hub, but to two topics that stand for a node in trouble.
func publisher(hub *broadcast.Hub) func(string, broadcast.Post) (broadcast.Result, error) {
	return func(topic string, post broadcast.Post) (broadcast.Result, error) {
		switch topic {
		case "full":
			return broadcast.Result{Matched: 5, Dropped: 5}, nil
		case "down":
			return broadcast.Result{}, errors.New("nats: no route to host")
		}
		return hub.PublishPost(topic, post)
	}
}

// rights makes a client of the tests: it may publish, or subscribe to what is no secret.
func rights(publish, subscribe bool) *auth.Principal {
	var lists auth.Lists
	if publish {
		lists.Publish = []string{">"}
	}
	if subscribe {
		lists.Subscribe, lists.Deny = []string{">"}, []string{"secret"}
	}
	if publish && subscribe {
		lists.Deny = nil
	}
	r, err := auth.NewRights(&lists)
	if err != nil {
		panic(err)
	}
	return &auth.Principal{Rights: r}
}

// clientOf reads a token of the tests: a subject, how many seconds it is good for, and a topic that
// it may subscribe to. The client joins the topic of its name.
func clientOf(l *netpoll.Loop, token string) (who *auth.Principal, reason string) {
	parts := strings.Split(token, ":")
	if len(parts) != 3 {
		return nil, "the token is not valid"
	}
	seconds, _ := strconv.Atoi(parts[1])
	now := time.Unix(int64(l.Now()/time.Second), 0) // a clock whose seconds are those of the loop
	who, err := auth.NewPrincipal(&auth.Identity{
		Subject: parts[0], Expires: now.Add(time.Duration(seconds) * time.Second),
		Lists: auth.Lists{Subscribe: []string{parts[2]}, Join: []string{"user.{sub}"}},
	}, &auth.Registry{}, now, l.Now(), 0)
	if err != nil {
		return nil, err.Error()
	}
	return who, ""
}

// asked is the answer that identify waits for.
var asked func(l *netpoll.Loop, c *netpoll.Conn, who *auth.Principal, reason string)

// identify knows some tokens at once, and is told about others by the word verify.
func identify(l *netpoll.Loop, c *netpoll.Conn, token []byte, done func(l *netpoll.Loop, c *netpoll.Conn, who *auth.Principal, reason string)) {
	if string(token) == "later" {
		asked = done
		return
	}
	who, reason := clientOf(l, string(token))
	done(l, c, who, reason)
}

func params(args []string) (p Params) {
	var publish, subscribe bool
	for _, a := range args {
		switch name, value, _ := strings.Cut(a, "="); name {
		case "bare":
			p.Bare = true
		case "topic":
			p.Topics = append(p.Topics, value)
		case "publish":
			publish = true
		case "subscribe":
			subscribe = true
		case "deflate":
			p.Window = frame.WindowFull
		}
	}
	p.Who = rights(publish, subscribe)
	return p
}

func cast(seed uint64, policy broadcast.Policy, outbox int, with ...func(*prototest.Options)) func(t *testing.T) prototest.Cast {
	return func(t *testing.T) prototest.Cast {
		n, h := node(t, seed, policy, outbox, with...)
		return prototest.Cast{
			Node: n, Role: 1,
			Open: func(l *netpoll.Loop, c *netpoll.Conn, args []string) {
				p := params(args)
				for _, a := range args {
					if token, ok := strings.CutPrefix(a, "token="); ok {
						p.Who, _ = clientOf(l, token)
						p.Topics = p.Who.AppendJoin(p.Topics)
					} else if a == "anonymous" {
						p.Who = nil
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

// perform is what these transcripts can do beside sending and getting.
func perform(t *testing.T, n *prototest.Node, h *Handler, word, rest string, client func(string) *netpolltest.Peer) bool {
	switch word {
	case "publish": // TOPIC KIND PAYLOAD
		topic, rest := prototest.Word(rest)
		kind, payload := prototest.Word(rest)
		kinds := map[string]broadcast.Kind{"text": broadcast.Text, "json": broadcast.JSON, "binary": broadcast.Binary}
		if kind != "json" {
			payload, _ = prototest.Word(payload)
		}
		if _, err := n.Hub.Publish(topic, kinds[kind], []byte(payload)); err != nil {
			t.Fatal(err)
		}
	case "verify": // NAME TOKEN: the answer about the token of a client that waits
		name, token := prototest.Word(rest)
		n.Do(client(name), func(l *netpoll.Loop, c *netpoll.Conn) {
			who, reason := clientOf(l, token)
			asked(l, c, who, reason)
		})
	case "revoke":
		n.Do(client(rest), h.Revoke)
	case "drain":
		n.Do(client(rest), h.Drain)
	case "kick":
		n.Do(client(rest), h.Kick)
	case "window": // NAME BYTES
		name, bytes := prototest.Word(rest)
		client(name).SetWindow(prototest.Int(t, bytes))
	default:
		return false
	}
	return true
}

func TestTranscripts(t *testing.T) {
	prototest.Run(t, "testdata/*.txt", cast(0, broadcast.Disconnect, 1<<20))
}

// What the kernel does with reads and writes must not show.
func TestTranscriptsUnderChaos(t *testing.T) {
	for seed := uint64(1); seed <= 20; seed++ {
		prototest.Run(t, "testdata/enveloped.txt", cast(seed, broadcast.Disconnect, 1<<20))
		prototest.Run(t, "testdata/refused.txt", cast(seed, broadcast.Disconnect, 1<<20))
	}
}

func TestGaps(t *testing.T) {
	prototest.Run(t, "testdata/slow/newest.txt", cast(0, broadcast.DropNewest, 200))
	prototest.Run(t, "testdata/slow/oldest*.txt", cast(0, broadcast.DropOldest, 200))
	prototest.Run(t, "testdata/slow/disconnect.txt", cast(0, broadcast.Disconnect, 200))
}

// TestTranscriptsBelowALayer: what clients say and get does not depend on a layer below.
func TestTranscriptsBelowALayer(t *testing.T) {
	prototest.Run(t, "testdata/*.txt", cast(0, broadcast.Disconnect, 1<<20, layered))
	for seed := uint64(1); seed <= 5; seed++ {
		prototest.Run(t, "testdata/enveloped.txt", cast(seed, broadcast.Disconnect, 1<<20, layered))
		prototest.Run(t, "testdata/refused.txt", cast(seed, broadcast.Disconnect, 1<<20, layered))
	}
	prototest.Run(t, "testdata/slow/newest.txt", cast(0, broadcast.DropNewest, 200, layered))
	prototest.Run(t, "testdata/slow/layered/oldest*.txt", cast(0, broadcast.DropOldest, 200, layered))
	prototest.Run(t, "testdata/slow/disconnect.txt", cast(0, broadcast.Disconnect, 200, layered))
}

func TestSessionIsSmall(t *testing.T) {
	if n := unsafe.Sizeof(session{}); n > 16 {
		t.Errorf("a session has %d bytes", n)
	}
}

// A closed connection leaves nothing behind: no session, no subscription.
func TestNothingIsLeft(t *testing.T) {
	n, h := node(t, 3, broadcast.Disconnect, 1<<20)
	var peers []*netpolltest.Peer
	for i := range 50 {
		p := n.Connect(1)
		n.Do(p, func(l *netpoll.Loop, c *netpoll.Conn) {
			h.Open(l, c, Params{Bare: i%2 == 0, Topics: []string{"a", "b"}, Who: rights(true, true)})
		})
		p.Write([]byte{0x81, 0xfe, 0x10}) // the beginning of a frame
		peers = append(peers, p)
	}
	n.Settle()
	if info, _ := n.Hub.Topic("a"); info.Members != 50 || h.sessions.Len() != 50 {
		t.Fatalf("%d members, %d sessions", info.Members, h.sessions.Len())
	}
	for i, p := range peers {
		switch i % 3 {
		case 0:
			p.Reset()
		case 1:
			p.CloseWrite()
		case 2:
			n.Do(p, h.Kick)
		}
	}
	n.Settle()
	if info, ok := n.Hub.Topic("a"); ok {
		t.Errorf("%d members are left", info.Members)
	}
	n.Advance(wsconn.CloseLinger + time.Second)
	if h.sessions.Len() != 0 || len(n.Reasons) != 50 {
		t.Errorf("%d sessions are left, %d connections ended", h.sessions.Len(), len(n.Reasons))
	}
}
