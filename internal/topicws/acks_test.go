package topicws

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"c100k/broadcast"
	"c100k/frame"
	"c100k/internal/prototest"
	"c100k/netpoll"
	"c100k/netpoll/netpolltest"
)

// questions stand for the other nodes: they are answered when the test says so.
type questions struct {
	open []func(Published)
	err  error
}

func (q *questions) ask(_ string, _ broadcast.Post, done func(Published)) error {
	if q.err == nil {
		q.open = append(q.open, done)
	}
	return q.err
}

// asking is a node with others behind it, and a client that may publish.
func asking(t *testing.T) (*prototest.Node, *Handler, *questions, *netpolltest.Peer) {
	t.Helper()
	n, h := node(t, 0, broadcast.Disconnect, 1<<20)
	q := &questions{}
	h.cfg.Ask = q.ask
	return n, h, q, client(n, h)
}

func client(n *prototest.Node, h *Handler) *netpolltest.Peer {
	p := n.Connect(1)
	n.Remote().PostTo(p.ID(), func(l *netpoll.Loop, c *netpoll.Conn) {
		h.Open(l, c, Params{Who: rights(true, false)})
	})
	n.Settle()
	p.Read() // the welcome
	return p
}

// say sends a command and returns what is answered at once.
func say(n *prototest.Node, p *netpolltest.Peer, command string) string {
	p.Write(frame.AppendMasked(nil, frame.OpText, true, [4]byte{1, 2, 3, 4}, []byte(command)))
	n.Settle()
	return payloads(p)
}

// acknowledged returns what is answered in a turn in which messages are delivered.
func acknowledged(n *prototest.Node, h *Handler, p *netpolltest.Peer) string {
	n.Remote().Post(h.Acknowledge)
	n.Settle()
	return payloads(p)
}

// payloads takes the text frames of what the peer has got apart, and puts a space between them.
func payloads(p *netpolltest.Peer) string {
	var texts []string
	var r frame.Reader
	for rest := p.Read(); len(rest) > 0; {
		m, after, err := r.Next(&frame.Options{Client: true, MessageBytesMax: 1 << 20}, rest)
		if err != nil || !m.Complete {
			return fmt.Sprintf("%q %v", rest, err)
		}
		texts, rest = append(texts, string(m.Payload)), after
	}
	return strings.Join(texts, " ")
}

func TestAckComesWhenAllHaveCounted(t *testing.T) {
	n, h, q, p := asking(t)
	if got := say(n, p, `{"type":"publish","topic":"a","data":1,"id":"one"}`) + say(n, p, `{"type":"publish","topic":"a","data":2,"id":2}`); got != "" {
		t.Errorf("answered before anybody has counted: %s", got)
	}
	// Other commands are not held up, and a publish without an id does not ask.
	if got := say(n, p, `{"type":"ping","id":3}`); got != `{"type":"pong","id":3}` {
		t.Error(got)
	}
	if got := say(n, p, `{"type":"publish","topic":"a","data":1}`); got != `{"type":"ack","matched":0}` {
		t.Error(got)
	}
	if len(q.open) != 2 {
		t.Fatalf("%d questions", len(q.open))
	}
	q.open[1](Published{Result: broadcast.Result{Matched: 5, Queued: 5}})
	if got := acknowledged(n, h, p); got != `{"type":"ack","id":2,"matched":5}` {
		t.Error(got)
	}
	q.open[0](Published{Result: broadcast.Result{Matched: 7, Queued: 4, Dropped: 3}})
	if got := acknowledged(n, h, p); got != `{"type":"ack","id":"one","matched":7}` {
		t.Error(got)
	}
	if got := acknowledged(n, h, p); got != "" {
		t.Errorf("answered twice: %s", got)
	}
}

func TestAskThatFails(t *testing.T) {
	n, h, q, p := asking(t)
	say(n, p, `{"type":"publish","topic":"a","data":1,"id":1}`)
	q.open[0](Published{Result: broadcast.Result{Matched: 3, Dropped: 3}})
	if got := acknowledged(n, h, p); got != `{"type":"error","id":1,"code":"overloaded","message":"the node has too much to deliver"}` {
		t.Error(got)
	}
	q.err = errors.New("no")
	if got := say(n, p, `{"type":"publish","topic":"a","data":1,"id":2}`); got != `{"type":"error","id":2,"code":"unavailable","message":"the message could not be published"}` {
		t.Error(got)
	}
}

// A client has UnansweredMax publishes open, and one more when one of them is answered.
func TestUnansweredMax(t *testing.T) {
	n, h, q, p := asking(t)
	publish := func() string { return say(n, p, `{"type":"publish","topic":"a","data":1,"id":1}`) }
	const refused = `{"type":"error","id":1,"code":"overloaded","message":"too many publishes of this connection wait for their acks"}`
	for range UnansweredMax {
		if got := publish(); got != "" {
			t.Fatal(got)
		}
	}
	if got := publish(); got != refused {
		t.Error(got)
	}
	if got := payloadsOf(n, h, client(n, h)); got != "" {
		t.Errorf("another client is refused: %s", got)
	}
	q.open[0](Published{Result: broadcast.Result{}})
	acknowledged(n, h, p)
	if got := publish() + publish(); got != refused {
		t.Error(got)
	}
	if len(q.open) != UnansweredMax+2 {
		t.Errorf("%d questions", len(q.open))
	}
}

func payloadsOf(n *prototest.Node, h *Handler, p *netpolltest.Peer) string {
	return say(n, p, `{"type":"publish","topic":"a","data":1,"id":1}`) + acknowledged(n, h, p)
}

// An ack for a connection that is gone reaches nobody, not even who has its slot now.
func TestAckForNobody(t *testing.T) {
	n, h, q, p := asking(t)
	say(n, p, `{"type":"publish","topic":"a","data":1,"id":1}`)
	slot := p.ID().Slot()
	p.Reset()
	n.Settle()
	next := client(n, h)
	if next.ID().Slot() != slot {
		t.Fatalf("slot %d, want %d again", next.ID().Slot(), slot)
	}
	q.open[0](Published{Result: broadcast.Result{Matched: 1}})
	if got := acknowledged(n, h, next); got != "" {
		t.Error(got)
	}
}
