// The package with real clients, npm engine.io-client 6 and 3, over real loops and sockets.

package engineio

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"c100k/internal/auth"
	"c100k/internal/edge"
	"c100k/internal/node"
	"c100k/internal/proto"
	"c100k/netpoll"
)

// server is an Engine.IO server of two loops that echoes.
type server struct {
	node      *node.Node
	endpoints []*Endpoint
	ln        *net.TCPListener
	ended     chan Reason
	over      <-chan struct{} // closed when the test ends
}

func startNode(t *testing.T, cfg Config) *server {
	n := &server{ended: make(chan Reason, 1024), over: t.Context().Done()}
	row := proto.Row{Name: "engineio", Transport: "engineio", Roles: 3, Paths: []string{"/socket.io/"}, New: func(p *proto.Place) proto.Part {
		cfg.Roles = Roles{Head: node.RoleHead, Polling: p.Role, Socket: p.Role + 1, Session: p.Role + 2}
		cfg.Loop, cfg.App, cfg.Move = uint8(p.Loop), &echoApp{n, p.Loop}, p.Move
		e := New(cfg)
		n.endpoints = append(n.endpoints, e)
		return proto.Part{
			Protocols: e.Protocols(nil),
			Serve: func(l *netpoll.Loop, c *netpoll.Conn, h *edge.Head, rest []byte, _ *auth.Principal) edge.Decision {
				e.Serve(l, c, h, rest)
				return edge.Handled
			},
			Deliver: func(l *netpoll.Loop, _ int) bool { e.Flush(l); return false },
		}
	}}
	var err error
	n.node, err = node.New(node.Config{Rows: []proto.Row{row}, Loops: 2, Admission: &edge.Admission{}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.node.Close)
	if err := n.node.Start(); err != nil {
		t.Fatal(err)
	}
	n.listen(t)
	return n
}

func (n *server) listen(t *testing.T) {
	var lc net.ListenConfig
	lc.SetMultipathTCP(false)
	ln, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n.ln = ln.(*net.TCPListener)
	if err := n.node.Listen(n.ln, 0); err != nil {
		t.Fatal(err)
	}
}

// echoApp echoes; a text that begins with "!" is a command.
type echoApp struct {
	n    *server
	loop int
}

func (a *echoApp) e() *Endpoint { return a.n.endpoints[a.loop] }

func (a *echoApp) Opened(l *netpoll.Loop, s *Session, r *Request) {
	if r.Query("greet") != "" {
		a.e().SendText(l, s, []byte("welcome "+r.Query("greet")))
	}
}

func (a *echoApp) Text(l *netpoll.Loop, s *Session, p []byte) {
	command, rest, _ := strings.Cut(string(p), " ")
	switch command {
	case "!close":
		a.e().Close(l, s, ReasonForcedClose, 0, "")
	case "!attach":
		a.e().SendMessage(l, s, []byte(rest), []byte{1, 2, 3}, []byte{}, bytes.Repeat([]byte{0xff}, 300))
	case "!count": // numbers from another goroutine, while the transport changes
		upTo, _ := strconv.Atoi(rest)
		id := s.ID()
		go func() {
			sent := make(chan bool, 1)
			for i := range upTo {
				a.n.node.Loop(a.loop).Remote().Post(func(l *netpoll.Loop) {
					if s := a.e().Lookup(l, id); s != nil {
						a.e().SendText(l, s, []byte(strconv.Itoa(i)))
					}
					if i%50 == 0 {
						sent <- true
					}
				})
				if i%50 != 0 {
					continue
				}
				select { // the loop has a turn in between, and so has the client
				case <-sent:
				case <-a.n.over:
					return
				}
			}
		}()
	default:
		a.e().SendText(l, s, p)
	}
}

func (a *echoApp) Binary(l *netpoll.Loop, s *Session, p []byte) {
	a.e().SendShared(l, s, AppendBinary(nil, s.Form(), p))
}
func (a *echoApp) Upgraded(*netpoll.Loop, *Session)             {}
func (a *echoApp) Closed(_ *netpoll.Loop, _ *Session, r Reason) { a.n.ended <- r }

const clientScripts = "../e2e/node"

// clients runs the script with the client of a protocol version, and each line "ok …" or "not ok …"
// of it as a subtest.
func clients(t *testing.T, n *server, version, transports string) {
	t.Helper()
	if _, err := os.Stat(clientScripts + "/node_modules/engine.io-client"); err != nil {
		t.Skip("the Node packages are not there: run internal/e2e/setup.sh")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	url := "http://" + n.ln.Addr().String()
	run := exec.CommandContext(ctx, "node", clientScripts+"/engineio.mjs", url, url, version, transports)
	var stderr bytes.Buffer
	run.Stderr = &stderr
	out, err := run.Output()
	complete := false
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
		switch line := lines.Text(); {
		case line == "end":
			complete = true
		case strings.HasPrefix(line, "ok "):
			t.Run(line[3:], func(*testing.T) {})
		default:
			t.Run(line, func(t *testing.T) { t.Error(line) })
		}
	}
	if err != nil || !complete {
		t.Errorf("engineio.mjs did not come to its end: %v\n%s", err, stderr.String())
	}
	reasons := map[string]int{}
	for len(n.ended) > 0 {
		reasons[(<-n.ended).String()]++
	}
	text, _ := json.Marshal(reasons)
	t.Logf("sessions ended: %s", text)
}

func TestClients(t *testing.T) {
	for _, version := range []string{"4", "3"} {
		for _, transports := range []string{"polling", "websocket", "polling,websocket"} {
			t.Run(version+" "+transports, func(t *testing.T) {
				t.Parallel()
				n := startNode(t, Config{
					AllowV3: true, PingInterval: 300 * time.Millisecond, PingTimeout: 20 * time.Second, Cookie: "io",
				})
				clients(t, n, version, transports)
			})
		}
	}
}
