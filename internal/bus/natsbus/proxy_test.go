// A TCP proxy between nodes and their server, which can stall, cut and bar.

package natsbus

import (
	"net"
	"sync"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
)

// proxy passes on what goes between clients and a server, while it is not stalled.
type proxy struct {
	ln     net.Listener
	target string
	wg     sync.WaitGroup

	mu      sync.Mutex // guards the fields below
	conns   []net.Conn
	stalled chan struct{} // nil while bytes flow; closed when they flow again
	refuse  bool
}

func startProxy(t *testing.T, s *server.Server) *proxy {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{ln: ln, target: s.Addr().String()}
	p.wg.Go(p.accept)
	t.Cleanup(func() {
		ln.Close()
		p.flow()
		p.cut()
		p.wg.Wait()
	})
	return p
}

func (p *proxy) url() string { return "nats://" + p.ln.Addr().String() }

func (p *proxy) accept() {
	for {
		c, err := p.ln.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", p.target)
		p.mu.Lock()
		if err != nil || p.refuse {
			c.Close()
			if err == nil {
				out.Close()
			}
			p.mu.Unlock()
			continue
		}
		p.conns = append(p.conns, c, out)
		p.mu.Unlock()
		p.wg.Go(func() { p.pump(out, c) })
		p.wg.Go(func() { p.pump(c, out) })
	}
}

func (p *proxy) pump(to, from net.Conn) {
	defer to.Close()
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		p.mu.Lock()
		stalled := p.stalled
		p.mu.Unlock()
		if stalled != nil {
			<-stalled
		}
		if _, err := to.Write(buf[:n]); err != nil {
			return
		}
	}
}

// stall stops reading, on all connections.
func (p *proxy) stall() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stalled = make(chan struct{})
}

// flow ends a stall.
func (p *proxy) flow() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stalled != nil {
		close(p.stalled)
		p.stalled = nil
	}
}

// cut closes all connections.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		c.Close()
	}
	p.conns = nil
}

// bar makes the proxy refuse connections, or take them again.
func (p *proxy) bar(refuse bool) {
	p.mu.Lock()
	p.refuse = refuse
	p.mu.Unlock()
}
