// The guard: checks every request on a connection that net/http serves before net/http sees it.

package edge

import "sync"

// guard follows the requests on one connection. It works on bytes and does not touch the socket.
//
// Invariant: the bytes that it lets through at one time belong to one message. So net/http never
// holds bytes of a message that was not checked, except for the one byte of an early read, and a
// handler that hijacks finds the remaining bytes in one buffer.
type guard struct {
	body    framer
	heads   int  // let through so far
	upgrade bool // the last head asked for another protocol: what follows its body is not HTTP
	strip   bool // the empty line in front of this head is gone
	scanned int  // bytes of this head that were seen to be incomplete
}

// heads are shared between connections: a Head is a kilobyte, and is used only while a head is
// parsed.
var heads = sync.Pool{New: func() any { return new(Head) }}

// skip is the length of the empty line in front of a head, which is removed. complete is false if p
// is too short to tell.
func (g *guard) skip(p []byte) (n int, complete bool) {
	if g.strip {
		return 0, len(p) > 0
	}
	n, complete = emptyLine(p)
	g.strip = complete
	return n, complete
}

// head checks the head that p begins with; n is its length, 0 while it is incomplete. A complete
// head starts its body.
func (g *guard) head(p []byte, lim Limits, hosts *HostRules) (n int, refusal *Refusal) {
	if g.scanned > 0 && !worthParsing(p, g.scanned, lim) {
		g.scanned = len(p)
		return 0, nil
	}
	h := heads.Get().(*Head)
	defer heads.Put(h)
	n, refusal = h.parse(p, lim)
	if n > 0 {
		refusal = hosts.Check(h)
	}
	if n > 0 {
		*g = guard{heads: g.heads + 1, upgrade: h.UpgradeRequested()}
		g.body.begin(h)
	} else {
		g.scanned = len(p)
	}
	h.p = nil // the pool must not keep the buffer
	return n, refusal
}
