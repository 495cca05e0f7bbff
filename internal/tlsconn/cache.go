// The AEADs of connections that are busy, bounded in bytes.

package tlsconn

import (
	"crypto/cipher"
	"time"

	"c100k/netpoll"
)

// cache keeps the AEADs of one layer. An entry belongs to one half of a session, which has its
// index. The first use of a half in a while makes an AEAD that is not kept: a request and its
// answer, or a heartbeat, is all that an idle connection has. Loop only.
type cache struct {
	entries []cacheEntry // index 1 on; 0 is none
	free    []uint32
	bytes   int
	hand    int    // where room is looked for
	now     uint32 // in ticks of cacheTick; below usedBit, which are seventeen years
	max     int    // cacheBytesMax, or less in tests
}

type cacheEntry struct {
	aead  cipher.AEAD
	owner *uint32 // the half's index of it
	used  uint32  // when it was last used, in ticks
	bytes int
}

// cacheTick is the resolution of a cache's time.
const cacheTick = time.Second / 4

// tick tells the cache the time.
func (k *cache) tick(now time.Duration) { k.now = uint32(now/cacheTick) &^ usedBit }

// A half without an entry has, in place of the index, usedBit and the tick of its last use, or 0.
const usedBit = 1 << 31

// cached tells whether a half has an entry.
func (h *half) cached() bool { return h.aead != 0 && h.aead&usedBit == 0 }

// get is ciphers.get. A half of no slab, as in tests, is fine as well.
func (k *cache) get(s *session, h *half) cipher.AEAD {
	if h.cached() {
		e := &k.entries[h.aead]
		e.used = k.now
		return e.aead
	}
	kind := s.kind()
	a := h.newAEAD(kind)
	busy := h.aead != 0 && (k.now-h.aead)&^usedBit < uint32(cacheIdle/cacheTick)
	h.aead = usedBit | k.now
	if busy && k.room(kind.aeadBytes) {
		k.add(cacheEntry{a, &h.aead, k.now, kind.aeadBytes})
	}
	return a
}

func (k *cache) add(e cacheEntry) {
	if len(k.entries) == 0 {
		k.entries = make([]cacheEntry, 1, 64)
	}
	if n := len(k.free); n > 0 {
		*e.owner = k.free[n-1]
		k.free = k.free[:n-1]
		k.entries[*e.owner] = e
	} else {
		*e.owner = uint32(len(k.entries))
		k.entries = append(k.entries, e)
	}
	k.bytes += e.bytes
}

// room tells whether there is room for n bytes, and makes it if the next entries at hand are not in
// use.
func (k *cache) room(n int) bool {
	for tries := 0; k.bytes+n > k.max; tries++ {
		if tries == 2 || len(k.entries) < 2 {
			return false
		}
		if k.hand++; k.hand >= len(k.entries) {
			k.hand = 1
		}
		if e := &k.entries[k.hand]; e.aead != nil && k.now-e.used >= uint32(cacheReplace/cacheTick) {
			k.evict(e)
		}
	}
	return true
}

func (k *cache) evict(e *cacheEntry) {
	k.free = append(k.free, *e.owner)
	*e.owner = usedBit | e.used
	k.bytes -= e.bytes
	*e = cacheEntry{}
}

// drop is ciphers.drop.
func (k *cache) drop(h *half) {
	if h.cached() {
		k.evict(&k.entries[h.aead])
	}
}

// sweep drops what was not used for cacheIdle, from one index on, a bounded number, and returns
// where to go on; 0: at the end.
func (k *cache) sweep(from int) (next int) {
	from = max(from, 1)
	end := min(len(k.entries), from+cacheSweepMax)
	for i := from; i < end; i++ {
		if e := &k.entries[i]; e.aead != nil && k.now-e.used >= uint32(cacheIdle/cacheTick) {
			k.evict(e)
		}
	}
	if end < len(k.entries) {
		return end
	}
	if k.bytes == 0 { // the memory for a burst goes back
		k.entries, k.free, k.hand = nil, nil, 0
	}
	return 0
}

// sweeper has a loop sweep its layer's cache while there is something in it.
type sweeper struct {
	armed bool // loop only
}

// arm has the cache swept in a while.
func (t *Layer) arm() {
	if t.sweeper.armed || t.cache.bytes == 0 || t.remote == nil {
		return
	}
	t.sweeper.armed = true
	t.sweepAfter(time.Second, 0)
}

func (t *Layer) sweepAfter(d time.Duration, from int) {
	remote := t.remote
	time.AfterFunc(d, func() {
		remote.Post(func(l *netpoll.Loop) { t.sweep(l, from) })
	})
}

// sweep is a task of the loop.
func (t *Layer) sweep(l *netpoll.Loop, from int) {
	t.cache.tick(l.Now())
	next := t.cache.sweep(from)
	switch {
	case next > 0:
		t.remote.Post(func(l *netpoll.Loop) { t.sweep(l, next) })
	case t.cache.bytes > 0:
		t.sweepAfter(time.Second, 0)
	default:
		t.sweeper.armed = false
	}
}
