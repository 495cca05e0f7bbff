// Tests of the head role behind trusted proxies, on a loop with a faked kernel.

package edge

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"c100k/internal/quota"
	"c100k/netpoll"
	"c100k/netpoll/netpolltest"
)

const (
	proxy1  = "10.0.0.1"
	client1 = "192.0.2.1"
	header1 = "PROXY TCP4 192.0.2.1 198.51.100.1 51234 443\r\n"
)

// newProxied is a node that trusts 10.0.0.0/8 and lets each address have one connection.
func newProxied(t testing.TB, seed uint64) *node {
	n := newNode(t, seed)
	n.cfg.Admission = &Admission{MaxPerAddr: 1, RefusalsMax: 2, Trusted: Networks{netip.MustParsePrefix("10.0.0.0/8")}}
	n.onRelease = n.cfg.Admission.Release
	next := n.cfg.Route
	n.cfg.Route = func(l *netpoll.Loop, c *netpoll.Conn, h *Head, rest []byte) Decision {
		if string(h.Path()) == "/ws" && !n.cfg.AdmitClient(l, c, h) {
			return Handled
		}
		return next(l, c, h, rest)
	}
	return n
}

// from is a connection from a peer's address.
func (n *node) from(t *testing.T, addr string) *netpolltest.Peer {
	t.Helper()
	tag, ok := n.cfg.Admission.Admit(netip.MustParseAddr(addr))
	if !ok {
		t.Fatalf("%s is closed at once", addr)
	}
	return n.ConnectTagged(headRole, tag)
}

// counted is how many connections the record of an address has.
func (n *node) counted(addr string) int {
	table, k := n.cfg.Admission.addresses(), keyOf(netip.MustParseAddr(addr), keyConns4)
	for held := 0; ; held++ {
		if tag, o := table.Enter(k, quota.Limit{Max: held + 1}, time.Time{}); o == quota.Entered {
			table.Leave(tag)
			return held
		}
	}
}

// offerFrom is a handshake with fields of X-Forwarded-For.
func offerFrom(values ...string) string {
	fields := ""
	for _, value := range values {
		fields += "X-Forwarded-For: " + value + "\r\n"
	}
	return strings.TrimSuffix(offer(), "\r\n") + fields + "\r\n"
}

func (n *node) wantStatus(t *testing.T, p *netpolltest.Peer, want int) {
	t.Helper()
	got := string(p.Read())
	if !strings.HasPrefix(got, fmt.Sprintf("HTTP/1.1 %d ", want)) {
		t.Fatalf("%q, want %d", got, want)
	}
	if retry := strings.Contains(got, "Retry-After: 5\r\n"); retry != (want == 429) {
		t.Errorf("Retry-After: %t with %d", retry, want)
	}
}

// TestProxyHeaderInPieces: whatever the pieces, the stream is the client's, and the frames behind
// the head are its own.
func TestProxyHeaderInPieces(t *testing.T) {
	const frames = "frames right behind it"
	switching := string(AppendSwitching(nil, []byte(sampleKey), "", nil))
	for _, tt := range goodProxies {
		in := tt.in + offer() + frames
		client := proxy1
		if tt.client != "" {
			client = netip.MustParseAddrPort(tt.client).Addr().String()
		}
		var cuts [][]int
		for i := range len(tt.in) + 3 {
			cuts = append(cuts, []int{i})
		}
		every := make([]int, len(in))
		for i := range every {
			every[i] = i
		}
		for _, cut := range append(cuts, nil, every) {
			n := newProxied(t, 0)
			p := n.from(t, proxy1)
			done := 0
			for _, at := range append(cut[:len(cut):len(cut)], len(in)) {
				p.Write([]byte(in[done:at]))
				done = at
				n.Turn()
			}
			n.Settle()
			if got := string(p.Read()); got != switching+frames {
				t.Fatalf("%s, cut at %v: %q", tt.name, cut, got)
			}
			if got := n.counted(client); got != 1 && tt.client != "" || n.counted(proxy1) != 0 || n.cfg.Admission.Open() != 1 {
				t.Fatalf("%s: %d for the client, %d for the proxy, %d open", tt.name, got, n.counted(proxy1), n.cfg.Admission.Open())
			}
			p.Reset()
			n.Settle()
			if n.counted(client) != 0 || n.cfg.Admission.Open() != 0 || n.heads.partials.Len() != 0 {
				t.Fatalf("%s: %d for the client, %d open, %d partial heads are left", tt.name, n.counted(client), n.cfg.Admission.Open(), n.heads.partials.Len())
			}
		}
	}
}

func TestProxyHeaderRefused(t *testing.T) {
	for _, tt := range badProxies {
		for _, step := range []int{1 << 20, 1} {
			n := newProxied(t, 0)
			p := n.from(t, proxy1)
			for in := tt.in; in != ""; {
				k := min(step, len(in))
				p.Write([]byte(in[:k]))
				in = in[k:]
				n.Turn()
			}
			n.Settle()
			if res, body := answer(t, p.Read(), "GET"); res.StatusCode != 400 || body != badProxy.Reason+"\n" {
				t.Errorf("%s: %s %q", tt.name, res.Status, body)
			}
			p.CloseWrite()
			n.Settle()
			n.wantReleased(t, fmt.Sprintf("%d protocol_error", tagProxy))
		}
	}
}

// TestProxyHeaderSpoofed: from anybody else, and anywhere but at the beginning, it is an illegal
// request.
func TestProxyHeaderSpoofed(t *testing.T) {
	for _, tt := range []struct{ name, peer, in string }{
		{"v1", "192.0.2.9", header1 + offer()},
		{"v2", "192.0.2.9", proxyV2(proxyV2Proxy, proxyTCP4, block4) + offer()},
		{"twice", proxy1, header1 + header1 + offer()},
		{"behind an empty line", proxy1, "\r\n" + header1 + offer()},
		{"behind LOCAL", proxy1, proxyV2(proxyV2Local, 0, "") + header1 + offer()},
	} {
		n := newProxied(t, 0)
		p := n.from(t, tt.peer)
		p.Write([]byte(tt.in))
		n.Settle()
		if got := string(p.Read()); !strings.HasPrefix(got, "HTTP/1.1 400 ") && !strings.HasPrefix(got, "HTTP/1.1 505 ") {
			t.Errorf("%s: %q", tt.name, got)
		}
		p.CloseWrite()
		n.Settle()
		if n.cfg.Admission.Open() != 0 || n.cfg.Admission.addresses().Held() != 0 {
			t.Errorf("%s: something is still counted", tt.name)
		}
	}
}

// TestClientLimit: one connection an address, however the address is learned.
func TestClientLimit(t *testing.T) {
	for _, tt := range []struct {
		name, peer, in string
		held           string // who has a direct connection already
		want           int
	}{
		{"proxy itself is not counted", proxy1, offer(), proxy1, 101},
		{"PROXY", proxy1, header1 + offer(), client1, 429},
		{"PROXY, other client", proxy1, header1 + offer(), "192.0.2.2", 101},
		{"PROXY v6, same /64", proxy1, proxyV2(proxyV2Proxy, proxyTCP6, block6) + offer(), "2001:db8::ffff", 429},
		{"PROXY v6, other /64", proxy1, proxyV2(proxyV2Proxy, proxyTCP6, block6) + offer(), "2001:db8:0:1::1", 101},
		{"PROXY wins", proxy1, header1 + offerFrom("192.0.2.2"), "192.0.2.2", 101},
		{"PROXY from a proxy of the proxy", proxy1, "PROXY TCP4 10.1.1.1 10.0.0.1 1 1\r\n" + offerFrom("192.0.2.2"), "192.0.2.2", 429},
		{"PROXY LOCAL", proxy1, proxyV2(proxyV2Local, 0, "") + offerFrom(client1), client1, 429},
		{"XFF", proxy1, offerFrom(client1), client1, 429},
		{"XFF, other client", proxy1, offerFrom("192.0.2.2"), client1, 101},
		{"XFF, the client's own claim", proxy1, offerFrom("192.0.2.2", client1), client1, 429},
		{"XFF v6, same /64", proxy1, offerFrom("2001:db8::1, 10.0.0.2"), "2001:db8::2", 429},
		{"XFF not known", proxy1, offerFrom(client1 + ", unknown"), client1, 101},
		{"XFF spoofed", "192.0.2.9", offerFrom(client1), client1, 101},
	} {
		n := newProxied(t, 0)
		if tag, ok := n.cfg.Admission.Admit(netip.MustParseAddr(tt.held)); !ok || tagRefusal(tag) != nil {
			t.Fatal(tt.name)
		}
		p := n.from(t, tt.peer)
		p.Write([]byte(tt.in))
		n.Settle()
		t.Run(tt.name, func(t *testing.T) { n.wantStatus(t, p, tt.want) })
		p.CloseWrite()
		n.Settle()
		if n.cfg.Admission.Open() != 1 || n.cfg.Admission.addresses().Held() > 1 || n.cfg.Admission.told.Load() != 0 || n.heads.partials.Len() != 0 {
			t.Errorf("%s: open %d, told %d", tt.name, n.cfg.Admission.Open(), n.cfg.Admission.told.Load())
		}
	}
}

// TestClientAddr: the client's address is the one that a trusted proxy names, and what a client
// says of itself behind a PROXY header is not believed.
func TestClientAddr(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		max      int // Admission.MaxPerAddr: without a limit, tags name nobody
		want     string
	}{
		{"PROXY", header1 + offer(), 0, client1},
		{"PROXY, limit", header1 + offer(), 5, client1},
		{"PROXY v6, limit", proxyV2(proxyV2Proxy, proxyTCP6, block6) + offer(), 5, "2001:db8::1"},
		{"PROXY, spoofed", header1 + offerFrom("192.0.2.9"), 0, client1},
		{"PROXY, spoofed, limit", header1 + offerFrom("192.0.2.9"), 5, client1},
		{"PROXY from a proxy of the proxy", "PROXY TCP4 10.1.1.1 10.0.0.1 1 1\r\n" + offerFrom(client1), 0, client1},
		{"XFF, no limit", offerFrom(client1), 0, client1},
		{"XFF", offerFrom(client1), 5, client1},
	} {
		n := newProxied(t, 0)
		n.cfg.Admission.MaxPerAddr = tt.max
		got := netip.Addr{}
		next := n.cfg.Route
		n.cfg.Route = func(l *netpoll.Loop, c *netpoll.Conn, h *Head, rest []byte) Decision {
			d := next(l, c, h, rest)
			got = n.cfg.ClientAddr(l, c, h)
			return d
		}
		p := n.from(t, proxy1)
		p.Write([]byte(tt.in))
		n.Settle()
		if got.String() != tt.want {
			t.Errorf("%s: %v, want %s", tt.name, got, tt.want)
		}
	}
}

// TestClientRefusalWaits: the answer does not come before the client has spoken or waited; and only
// so many hear it.
func TestClientRefusalWaits(t *testing.T) {
	n := newProxied(t, 0)
	perAddr := 0
	n.cfg.Admission.OnRefused = func(r *Refusal, addr netip.Addr) {
		if r == RefusePerAddr && addr.String() == client1 {
			perAddr++
		}
	}
	n.from(t, client1)
	speaks, waits, third := n.from(t, proxy1), n.from(t, proxy1), n.from(t, proxy1)
	speaks.Write([]byte(header1))
	waits.Write([]byte(header1))
	n.Settle()
	third.Write([]byte(header1))
	n.Settle()
	if len(speaks.Read()) > 0 || len(waits.Read()) > 0 {
		t.Error("an answer before the request is noise to a client")
	}
	if !third.Closed() || len(third.Read()) > 0 {
		t.Error("a third hears it, where two may")
	}
	speaks.Write([]byte(get("/")))
	n.Settle()
	n.wantStatus(t, speaks, 429)
	n.Advance(refusalWait + 100*time.Millisecond)
	n.wantStatus(t, waits, 429)
	n.Advance(2 * refusalLinger)
	if a := n.cfg.Admission; a.Open() != 1 || a.told.Load() != 0 || n.heads.partials.Len() != 0 {
		t.Errorf("open %d, told %d", a.Open(), a.told.Load())
	}
	if perAddr != 3 || len(n.refused) != 0 {
		t.Errorf("Admission has reported %d, the head role %d", perAddr, len(n.refused))
	}
}

// TestProxyHeaderDeadline: header and head have the time of one head.
func TestProxyHeaderDeadline(t *testing.T) {
	n := newProxied(t, 0)
	silent, begun, named := n.from(t, proxy1), n.from(t, proxy1), n.from(t, proxy1)
	begun.Write([]byte("PROXY T"))
	n.Advance(3 * time.Second)
	named.Write([]byte(header1 + "GET / H"))
	n.Advance(1900 * time.Millisecond)
	for _, p := range []*netpolltest.Peer{silent, begun, named} {
		if p.Finished() {
			t.Error("too early")
		}
	}
	n.Advance(200 * time.Millisecond)
	for _, p := range []*netpolltest.Peer{silent, begun, named} {
		if res, _ := answer(t, p.Read(), "GET"); res.StatusCode != 408 {
			t.Errorf("%s", res.Status)
		}
	}
	n.Advance(2 * refusalLinger)
	if n.cfg.Admission.Open() != 0 || n.counted(client1) != 0 || n.heads.partials.Len() != 0 {
		t.Error("something is left")
	}
}

// TestProxyHeaderDetaches: net/http gets the client with the connection, and the head without the
// header.
func TestProxyHeaderDetaches(t *testing.T) {
	for _, tt := range []struct{ in, client string }{
		{header1, "192.0.2.1:51234"},
		{"PROXY TCP4 10.1.1.1 10.0.0.1 7 1\r\n", "10.1.1.1:7"},
		{"PROXY UNKNOWN\r\n", ""},
		{"", ""},
	} {
		for _, step := range []int{1 << 20, 1} {
			n := newProxied(t, 0)
			p := n.from(t, proxy1)
			for in := tt.in + get("/other"); in != ""; {
				k := min(step, len(in))
				p.Write([]byte(in[:k]))
				in = in[k:]
				n.Turn()
			}
			n.Settle()
			d := <-n.cfg.Fallback.queue
			n.cfg.Fallback.waiting.Add(-1)
			if string(d.first) != get("/other") || d.client.IsValid() != (tt.client != "") || d.client.IsValid() && d.client.String() != tt.client {
				t.Errorf("%q: %q from %v", tt.in, d.first, d.client)
			}
			if known := d.tag < tagNoRecord; known != (tt.in == header1) || !known && d.tag != tagForwarded {
				t.Errorf("%q: tag %x", tt.in, d.tag)
			}
		}
	}
}

func TestAdmitRequest(t *testing.T) {
	a := Admission{Max: 2, Trusted: Networks{netip.MustParsePrefix("10.0.0.0/8")}}
	for addr, want := range map[string]uint32{proxy1: tagForwarded, client1: 0} {
		if tag, ok := a.AdmitRequest(netip.MustParseAddr(addr)); !ok || tag != want {
			t.Errorf("%s: tag %x, %t", addr, tag, ok)
		}
	}
	if tag, ok := a.AdmitRequest(netip.MustParseAddr(proxy1)); !ok || tagRefusal(tag) != RefuseOverCapacity {
		t.Errorf("beyond the limit: tag %x, %t", tag, ok)
	}
	if tag, ok := a.identify(netip.MustParseAddr(client1)); !ok || tag != 0 {
		t.Errorf("without a limit: tag %x, %t", tag, ok)
	}
}
