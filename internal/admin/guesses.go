// Wrong keys: an address that guesses is slowed down, and the log says so.

package admin

import (
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"
)

// guesses counts wrong keys by address. Beyond GuessesMax an address may try one key a GuessEvery;
// what it sends in between is refused without a look at its key. Any goroutine.
type guesses struct {
	log *slog.Logger
	now func() time.Time

	mu     sync.Mutex // guards the fields below
	budget map[netip.Addr]guessBudget
	logged time.Time // of the last line
	unsaid int       // wrong keys since then
}

// guessBudget is what an address has left: at zero its attempts are refused until `at` is a
// GuessEvery ago.
type guessBudget struct {
	left int
	at   time.Time // of the last change
}

func newGuesses(log *slog.Logger) *guesses {
	return &guesses{log: log, now: time.Now, budget: make(map[netip.Addr]guessBudget)}
}

// allowed says whether the key of a request from this address may be looked at.
func (g *guesses) allowed(addr netip.Addr) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	b, known := g.budget[addr]
	return !known || g.refill(b).left > 0
}

// refill adds what has grown since the last change.
func (g *guesses) refill(b guessBudget) guessBudget {
	now := g.now()
	if grown := int(now.Sub(b.at) / GuessEvery); grown > 0 {
		b = guessBudget{left: min(b.left+grown, GuessesMax), at: now}
	}
	return b
}

// wrong notes a wrong key.
func (g *guesses) wrong(addr netip.Addr, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.now()
	b, known := g.budget[addr]
	switch {
	case known:
		b = g.refill(b)
	case len(g.budget) >= GuessAddressesMax && !g.forget():
		// All of them guess at this moment. One more address is not slowed down; the log tells of it.
	default:
		b = guessBudget{left: GuessesMax, at: now}
		known = true
	}
	if known {
		b.left = max(b.left-1, 0)
		g.budget[addr] = b
	}
	g.unsaid++
	if g.logged.IsZero() || now.Sub(g.logged) >= GuessLogEvery {
		g.log.Warn("wrong API key", "peer", addr.String(), "path", r.URL.Path, "times", g.unsaid)
		g.logged, g.unsaid = now, 0
	}
}

// forget drops the addresses whose budget is full again; false if there is none. The caller holds
// mu.
func (g *guesses) forget() (any bool) {
	for addr, b := range g.budget {
		if g.refill(b).left == GuessesMax {
			delete(g.budget, addr)
			any = true
		}
	}
	return any
}

// guesser is the address that a wrong key of the request counts for: the peer's, with a /64 of IPv6
// as one; for a proxy on this machine the client that it names last.
func guesser(r *http.Request) netip.Addr {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{} // a unix socket
	}
	addr := peer.Addr().Unmap()
	if addr.IsLoopback() {
		lines := r.Header.Values("X-Forwarded-For")
		if len(lines) > 0 {
			last := lines[len(lines)-1]
			if client, err := netip.ParseAddr(strings.TrimSpace(last[strings.LastIndexByte(last, ',')+1:])); err == nil {
				addr = client.Unmap()
			}
		}
	}
	if addr.Is6() {
		if network, err := addr.WithZone("").Prefix(64); err == nil {
			addr = network.Addr()
		}
	}
	return addr
}
