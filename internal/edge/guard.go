// The guard: judges every request on a connection that net/http serves, and lets nothing through that it has not judged.

package edge

import "sync"

// guard follows the stream of requests on one connection. It decides on bytes and knows no socket.
//
// Invariant: what it lets through at one time lies within one message. So net/http never holds bytes of a message that
// was not judged, and none that a hijacker would have to look for in two buffers, but for the one of an early read.
type guard struct {
	body    framer
	heads   int  // let through so far
	upgrade bool // the last head asked for another protocol: what follows its body is not HTTP
	strip   bool // the empty line in front of this head is gone
	scanned int  // bytes of this head that were seen to be incomplete
}

// heads are parsed one at a time; a Head for each connection would be a kilobyte for nothing.
var heads = sync.Pool{New: func() any { return new(Head) }}

// skip is the length of the empty line to take away in front of a head. complete is false if p is too short to tell.
func (g *guard) skip(p []byte) (n int, complete bool) {
	if g.strip {
		return 0, len(p) > 0
	}
	n, complete = emptyLine(p)
	g.strip = complete
	return n, complete
}

// head judges the head that p begins with; n is its length, 0 while it is incomplete. Then its body begins.
func (g *guard) head(p []byte, lim Limits) (n int, refusal *Refusal) {
	if g.scanned > 0 && !worthParsing(p, g.scanned, lim) {
		g.scanned = len(p)
		return 0, nil
	}
	h := heads.Get().(*Head)
	defer heads.Put(h)
	n, refusal = h.parse(p, lim)
	if n > 0 {
		*g = guard{heads: g.heads + 1, upgrade: h.UpgradeRequested()}
		g.body.begin(h)
	} else {
		g.scanned = len(p)
	}
	h.p = nil // the pool must not keep the buffer
	return n, refusal
}
