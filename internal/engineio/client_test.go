// engineio under the real clients, npm engine.io-client 6 and 3, over real loops and sockets.

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

	"c100k/internal/edge"
	"c100k/netpoll"
)

// node is an Engine.IO server of two loops that echoes.
type node struct {
	loops     []*netpoll.Loop
	endpoints []*Endpoint
	acceptor  *netpoll.Acceptor
	ln        *net.TCPListener
	ended     chan Reason
}

func startNode(t *testing.T, cfg Config) *node {
	n := &node{ended: make(chan Reason, 1024)}
	loops := &Loops{Head: roleHead}
	for i := range 2 {
		cfg.Loop, cfg.Roles, cfg.App, cfg.Move = uint8(i), roles, &echoApp{n, i}, loops.Move
		e := New(cfg)
		opt := netpoll.Options{Index: i, Deliver: func(l *netpoll.Loop, _ int) bool { e.Flush(l); return false }}
		opt.Handlers[roleHead] = edge.NewHeadHandler(&edge.Config{Route: func(l *netpoll.Loop, c *netpoll.Conn, h *edge.Head, rest []byte) edge.Decision {
			e.Serve(l, c, h, rest)
			return edge.Handled
		}})
		opt.Handlers[rolePolling], opt.Handlers[roleSocket], opt.Handlers[roleSession] = e.PollingHandler(), e.SocketHandler(), e.SessionHandler()
		l, err := netpoll.NewLoop(opt)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(l.Stop)
		n.loops, n.endpoints = append(n.loops, l), append(n.endpoints, e)
		loops.Remotes = append(loops.Remotes, l.Remote())
	}
	for _, l := range n.loops {
		if err := l.Start(); err != nil {
			t.Fatal(err)
		}
	}
	n.listen(t)
	return n
}

func (n *node) listen(t *testing.T) {
	var lc net.ListenConfig
	lc.SetMultipathTCP(false)
	ln, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n.ln = ln.(*net.TCPListener)
	t.Cleanup(func() { ln.Close() })
	if n.acceptor, err = netpoll.NewAcceptor(netpoll.AcceptorOptions{Loops: n.loops, Role: roleHead}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.acceptor.Close() })
	if err := n.acceptor.Listen(n.ln, 0); err != nil {
		t.Fatal(err)
	}
}

// echoApp echoes; a text that begins with "!" is a command.
type echoApp struct {
	n    *node
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
	case "!count": // numbers from elsewhere, while whatever happens happens
		upTo, _ := strconv.Atoi(rest)
		id := s.ID()
		go func() {
			for i := range upTo {
				a.n.loops[a.loop].Remote().Post(func(l *netpoll.Loop) {
					if s := a.e().Lookup(l, id); s != nil {
						a.e().SendText(l, s, []byte(strconv.Itoa(i)))
					}
				})
				if i%50 == 0 {
					time.Sleep(time.Millisecond)
				}
			}
		}()
	default:
		a.e().SendText(l, s, p)
	}
}

func (a *echoApp) Binary(l *netpoll.Loop, s *Session, p []byte) { a.e().SendBinary(l, s, p) }
func (a *echoApp) Upgraded(*netpoll.Loop, *Session)             {}
func (a *echoApp) Closed(_ *netpoll.Loop, _ *Session, r Reason) { a.n.ended <- r }

const clientScripts = "../e2e/node"

// clients runs the script with the client of a protocol version, and each line "ok …" or "not ok …" of it as a subtest.
func clients(t *testing.T, n *node, version, transports string) {
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
