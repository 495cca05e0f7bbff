// Layer: TLS on the connections of one loop.

package tlsconn

import (
	"crypto/tls"
	"errors"
	"log/slog"
	"time"

	"c100k/netpoll"
)

// Config is what the layers of a process have in common. It must not be changed once a Layer has
// it.
type Config struct {
	// Pool runs the handshakes. Required.
	Pool *Pool

	// Server gives the configuration of the next handshake of a server. It is called on a goroutine
	// of the pool, once for each handshake, and must not block; the callbacks of the configuration
	// may. What it returns is copied. See Check for what is honoured.
	Server func() *tls.Config

	// Client makes the layer one of clients: it gives the configuration for the connection with a
	// tag, which is copied. Loop only.
	Client func(tag uint32) *tls.Config

	// Before tells how many bytes in front of TLS belong to the handler of the connection, such as a
	// PROXY header: whole is false while more bytes are needed to tell. Loop only. Nil: none.
	Before func(c *netpoll.Conn, p []byte) (n int, whole bool)

	// PlainHTTP appends the answer to a request in plain HTTP; head says that it has no body. Loop
	// only. Nil: there is none.
	PlainHTTP func(dst []byte, head bool) []byte

	// Logger gets the panics of handshakes, with their stacks. Nil discards them.
	Logger *slog.Logger

	// Shaken is called with each handshake that is over; err is why one has failed, and then the
	// layer finishes c. Loop only. It may be nil.
	Shaken func(l *netpoll.Loop, c *netpoll.Conn, resumed bool, err error)
}

// Layer is the netpoll.Layer of one loop. Its methods are for that loop only, except Counters.
type Layer struct {
	cfg      *Config
	remote   *netpoll.Remote // from the first connection on
	sessions netpoll.Slab[session]
	holds    netpoll.Slab[hold]
	abouts   abouts
	cache    cache
	sweeper  sweeper
	scratch  scratch
	counters counters
	held     int64 // bytes, of all holds
}

// hold is what a connection has beside its session: for the time of its handshake, and while a
// record is incomplete.
type hold struct {
	in     []byte  // input that is not opened
	shake  *shake  // the handshake that waits for its turn or runs
	ticket *ticket // of a client that still expects one
	size   int     // bytes that Layer.held has for it
}

// New makes the layer of a loop.
func New(cfg *Config) *Layer {
	return &Layer{cfg: cfg, cache: cache{max: cacheBytesMax}}
}

// Len is how many connections have state.
func (t *Layer) Len() int { return t.sessions.Len() }

// Attach is netpoll.Layer.Attach. state is nil or a *State.
func (t *Layer) Attach(l *netpoll.Loop, c *netpoll.Conn, state any) {
	if t.remote == nil {
		t.remote = l.Remote()
	}
	i, s := t.sessions.Alloc()
	l.SetLayerState(c, i)
	if state != nil {
		t.resume(s, state.(*State))
		return
	}
	if t.cfg.Client != nil {
		t.shake(l, c, s, nil)
	}
}

// resume puts the state of a connection that has moved into its session.
func (t *Layer) resume(s *session, from *State) {
	*s = from.session
	s.about = t.abouts.add(from.about)
	if len(from.in) > 0 {
		t.keep(t.holdOf(s), from.in)
	}
}

// holdOf is the hold of a session, made if it has none.
func (t *Layer) holdOf(s *session) *hold {
	if s.hold == 0 {
		s.hold, _ = t.holds.Alloc()
	}
	return t.holds.At(s.hold)
}

// letGo frees the hold of a session.
func (t *Layer) letGo(s *session) {
	if s.hold != 0 {
		t.weigh(t.holds.At(s.hold), 0)
		t.holds.Free(s.hold)
		s.hold = 0
	}
}

// keep makes p the input of a hold that is not opened.
func (t *Layer) keep(h *hold, p []byte) {
	h.in = p
	t.weigh(h, cap(p))
}

// weigh counts a hold as n bytes.
func (t *Layer) weigh(h *hold, n int) {
	t.held += int64(n - h.size)
	h.size = n
}

// Held is how many bytes are kept of a connection beside its session. Loop only.
func (t *Layer) Held(l *netpoll.Loop, c *netpoll.Conn) int {
	i := l.LayerState(c)
	if i == 0 {
		return 0
	}
	if s := t.sessions.At(i); s.hold != 0 {
		return t.holds.At(s.hold).size
	}
	return 0
}

// HeldBytes is the sum of Held over all connections. Loop only.
func (t *Layer) HeldBytes() int64 { return t.held }

// Open is netpoll.Layer.Open.
func (t *Layer) Open(l *netpoll.Loop, c *netpoll.Conn, in []byte) (plain, rest []byte, end netpoll.Reason) {
	s := t.sessions.At(l.LayerState(c))
	switch {
	case s.flags&flagEnded != 0:
		return nil, nil, netpoll.ReasonNone
	case s.flags&flagShaking != 0:
		over, end := t.feed(l, c, s, in)
		if !over {
			return nil, nil, end
		}
		in = nil // the handshake has it, and what it did not need is kept
	case s.suite == 0:
		return t.enter(l, c, s, in)
	}
	t.cache.tick(l.Now())
	plain, rest, end = t.open(l, c, s, in)
	t.arm()
	return plain, rest, end
}

// enter is Open before the handshake: it gathers what a client begins with.
func (t *Layer) enter(l *netpoll.Loop, c *netpoll.Conn, s *session, in []byte) (plain, rest []byte, end netpoll.Reason) {
	if s.hold != 0 {
		h := t.holds.At(s.hold)
		t.keep(h, append(h.in, in...))
		in = h.in
	}
	if t.cfg.Before != nil && s.flags&flagBegun == 0 {
		switch n, whole := t.cfg.Before(c, in); {
		case !whole:
			t.keepFirst(s, in)
			return nil, nil, netpoll.ReasonNone
		default:
			s.flags |= flagBegun
			if n > 0 {
				t.letGo(s) // in is the handler's until the end of the turn
				return in[:n], in[n:], netpoll.ReasonNone
			}
		}
	}
	switch gate(in) {
	case gateMore:
		t.keepFirst(s, in)
		return nil, nil, netpoll.ReasonNone
	case gateHello:
		t.keepFirst(s, in)
		return nil, nil, t.shake(l, c, s, t.holds.At(s.hold).in)
	case gateHTTP:
		return nil, nil, t.plainHTTP(l, c, s, false)
	case gateHead:
		return nil, nil, t.plainHTTP(l, c, s, true)
	case gateTooLong:
		return nil, nil, t.refuse(l, c, s, alertDecodeError, failHello)
	case gateBad:
		return nil, nil, t.refuse(l, c, s, alertUnexpectedMessage, failHello)
	}
	return nil, nil, t.refuse(l, c, s, alertUnexpectedMessage, failNoTLS)
}

// keepFirst stores input that is not enough yet; enter has appended it already if there is a hold.
func (t *Layer) keepFirst(s *session, in []byte) {
	if s.hold == 0 {
		t.keep(t.holdOf(s), append([]byte(nil), in...))
	}
}

// plainHTTP answers a client that does not speak TLS.
func (t *Layer) plainHTTP(l *netpoll.Loop, c *netpoll.Conn, s *session, head bool) netpoll.Reason {
	t.fail(s, failPlainHTTP)
	if t.cfg.PlainHTTP != nil {
		l.SendSealed(c, t.cfg.PlainHTTP(nil, head))
	}
	return netpoll.ReasonProtocol
}

// refuse ends a connection before its handshake.
func (t *Layer) refuse(l *netpoll.Loop, c *netpoll.Conn, s *session, a alert, why failure) netpoll.Reason {
	t.fail(s, why)
	l.SendSealed(c, a.appendPlain(nil))
	return netpoll.ReasonLayer
}

// fail counts a handshake that has failed, and ends the session.
func (t *Layer) fail(s *session, why failure) {
	s.flags |= flagEnded
	if s.flags&flagCounted == 0 {
		s.flags |= flagCounted
		t.counters.failed[why].Add(1)
	}
	t.letGo(s)
}

// shake begins the handshake of a connection; in, which is kept, is what its peer has sent so far.
func (t *Layer) shake(l *netpoll.Loop, c *netpoll.Conn, s *session, in []byte) netpoll.Reason {
	sh := newShake(t, c.ID(), c.Tag(), in)
	if !t.cfg.Pool.start(sh, l.Now()) {
		t.fail(s, failOverload)
		return netpoll.ReasonLayer
	}
	h := t.holdOf(s)
	h.in, h.shake = nil, sh
	t.weigh(h, cap(in)+shakeBytes)
	s.flags |= flagShaking
	if len(in) > 0 {
		t.stop(l, c, s)
	}
	return netpoll.ReasonNone
}

// ErrNoTLS is why the handshake of a client has failed whose server does not speak TLS.
var ErrNoTLS = errors.New("the server does not speak TLS")

// feed gives the handshake of a connection what has come. A server that speaks something else is
// told apart at once: its FIN may follow, and would end the connection before crypto/tls looks.
//
// What little is left behind the first flight of a server runs here: on its way to another thread
// and back it would cost a multiple. over says that this was the end of the handshake.
func (t *Layer) feed(l *netpoll.Loop, c *netpoll.Conn, s *session, in []byte) (over bool, end netpoll.Reason) {
	if t.cfg.Client != nil && s.flags&flagBegun == 0 && len(in) > 0 {
		s.flags |= flagBegun
		if in[0] != typeHandshake && in[0] != typeAlert {
			t.end(s, failNoTLS)
			if t.cfg.Shaken != nil {
				t.cfg.Shaken(l, c, false, ErrNoTLS)
			}
			return false, netpoll.ReasonLayer
		}
	}
	sh := t.holds.At(s.hold).shake
	switch sh.feed(in) {
	case fedBusy:
		t.stop(l, c, s)
	case fedWoken:
		if !sh.short() || c.Pending() > 0 { // what waits to be sealed needs Reopen
			t.stop(l, c, s)
			t.cfg.Pool.resume(sh)
		} else if t.cfg.Pool.resumeHere(sh) {
			over = t.conclude(l, c, s, sh)
		}
	}
	return over, netpoll.ReasonNone
}

// shaking is the session of a connection if sh is its handshake, else nil.
func (t *Layer) shaking(l *netpoll.Loop, c *netpoll.Conn, sh *shake) *session {
	i := l.LayerState(c)
	if i == 0 {
		return nil
	}
	s := t.sessions.At(i)
	if s.flags&flagShaking == 0 || t.holds.At(s.hold).shake != sh {
		return nil
	}
	return s
}

// progress is a task for a handshake that has written something and waits for its peer.
func (t *Layer) progress(l *netpoll.Loop, c *netpoll.Conn, sh *shake) {
	if s := t.shaking(l, c, sh); s != nil {
		l.SendSealed(c, sh.output())
		t.goOn(l, c, s)
	}
}

// stop stops reading until the handshake waits for its peer or is over. So it is given no more than
// two reads at a time, and a FIN behind what it still works on does not end the connection.
func (t *Layer) stop(l *netpoll.Loop, c *netpoll.Conn, s *session) {
	if s.flags&flagStopped == 0 {
		s.flags |= flagStopped
		l.StopRead(c)
	}
}

// goOn reads again where stop has ended it.
func (t *Layer) goOn(l *netpoll.Loop, c *netpoll.Conn, s *session) {
	if s.flags&flagStopped != 0 {
		s.flags &^= flagStopped
		l.StartRead(c)
	}
}

// stalled is a task for a handshake that was given up because others wait.
func (t *Layer) stalled(l *netpoll.Loop, c *netpoll.Conn, sh *shake) {
	if s := t.shaking(l, c, sh); s != nil {
		t.end(s, failStalled)
		l.Close(c, netpoll.ReasonTimeout)
	}
}

// end is fail for a session whose handshake runs.
func (t *Layer) end(s *session, why failure) {
	if s.hold != 0 {
		if sh := t.holds.At(s.hold).shake; sh != nil {
			sh.abort()
		}
	}
	s.flags &^= flagShaking
	t.fail(s, why)
}

// shaken is a task for a handshake that is over.
func (t *Layer) shaken(l *netpoll.Loop, c *netpoll.Conn, sh *shake) {
	if s := t.shaking(l, c, sh); s != nil && t.conclude(l, c, s, sh) {
		l.StartRead(c)
		l.Reopen(c)
	}
}

// conclude takes the outcome of a handshake that is over; false: the connection ends.
func (t *Layer) conclude(l *netpoll.Loop, c *netpoll.Conn, s *session, sh *shake) bool {
	l.SendSealed(c, sh.output())
	if sh.over.err != nil {
		t.end(s, failureOf(sh.over.err))
		if t.cfg.Shaken != nil {
			t.cfg.Shaken(l, c, false, sh.over.err)
		}
		l.Finish(c, netpoll.ReasonLayer, linger)
		return false
	}
	a := sh.over.about
	t.counters.shaken(a)
	t.letGo(s)
	*s = sh.over.session
	s.flags |= flagCounted
	s.about = t.abouts.add(a)
	if a.proto == protoACME {
		// RFC 8737, 3: the connection is closed when the handshake is over.
		l.Finish(c, netpoll.ReasonLocal, linger)
		return false
	}
	if rest := sh.rest(); len(rest) > 0 {
		t.keep(t.holdOf(s), append([]byte(nil), rest...))
	}
	t.expect(s, sh)
	if t.cfg.Shaken != nil {
		t.cfg.Shaken(l, c, a.resumed, nil)
	}
	return true
}

// open opens the records in in, and an incomplete one that was kept.
func (t *Layer) open(l *netpoll.Loop, c *netpoll.Conn, s *session, in []byte) (plain, rest []byte, end netpoll.Reason) {
	if s.hold != 0 {
		h := t.holds.At(s.hold)
		if len(h.in) > 0 {
			whole, used, a := s.complete(h, in)
			t.weigh(h, cap(h.in))
			switch {
			case a != alertNone:
				return nil, nil, t.abort(l, c, s, a)
			case whole == nil:
				return nil, nil, netpoll.ReasonNone
			}
			if t.keep(h, nil); h.ticket == nil {
				t.letGo(s)
			}
			if plain, kept, end := t.openAll(l, c, s, whole); end != netpoll.ReasonNone || len(kept) == 0 {
				return plain, in[used:], end
			} else if used == len(in) { // from the handshake: more than one record was kept
				t.keepPartial(s, kept)
				return plain, nil, end
			} else {
				panic("tlsconn: a kept record is not whole")
			}
		}
	}
	plain, rest, end = t.openAll(l, c, s, in)
	if len(rest) > 0 && end == netpoll.ReasonNone {
		t.keepPartial(s, rest)
	}
	return plain, nil, end
}

// keepPartial stores the beginning of a record.
func (t *Layer) keepPartial(s *session, p []byte) {
	t.keep(t.holdOf(s), append([]byte(nil), p...))
}

// complete adds bytes of in to the kept record until it is whole, and returns it with how many
// bytes it took. What the handshake has left may be more than one record; then it is returned as it
// is.
func (s *session) complete(h *hold, in []byte) (whole []byte, used int, a alert) {
	for {
		size, a := s.recordSize(h.in)
		if a != alertNone {
			return nil, 0, a
		}
		if size == 0 {
			size = headerBytes
		}
		if len(h.in) >= size && size > headerBytes || len(h.in) > size {
			return h.in, used, alertNone
		}
		n := min(size-len(h.in), len(in)-used)
		if n == 0 {
			if len(h.in) < size {
				return nil, used, alertNone
			}
			return h.in, used, alertNone // an empty body: open says what is wrong with it
		}
		h.in = append(h.in, in[used:used+n]...)
		used += n
	}
}

// openAll opens the whole records of in, in place. Plain bytes of all of them are moved together.
func (t *Layer) openAll(l *netpoll.Loop, c *netpoll.Conn, s *session, in []byte) (plain, rest []byte, end netpoll.Reason) {
	for len(in) > 0 {
		size, a := s.recordSize(in)
		if a != alertNone {
			return plain, nil, t.abort(l, c, s, a)
		}
		if size == 0 || len(in) < size {
			return plain, in, netpoll.ReasonNone
		}
		sealed := t.forTicket(s, in[:size])
		typ, p, a := s.open(&t.scratch, &t.cache, in[:size])
		in = in[size:]
		ev := eventNothing
		if a == alertNone {
			ev, a = s.take(typ, p, &t.cache, uint32(l.Now()/time.Second))
		}
		if a != alertNone {
			return plain, nil, t.abort(l, c, s, a)
		}
		switch ev {
		case eventData:
			if plain == nil {
				plain = p
			} else {
				plain = append(plain, p...) // in place: p lies behind it
			}
			t.noTicket(s)
		case eventClosed:
			return plain, nil, netpoll.ReasonPeer
		case eventAlert:
			s.flags |= flagEnded
			return plain, nil, netpoll.ReasonLayer
		case eventAnswer:
			l.SendSealed(c, s.sealUpdate(&t.scratch, &t.cache, nil, false))
		case eventTicket:
			t.takeTicket(s, sealed)
		}
		if s.wantsUpdate() {
			l.SendSealed(c, s.sealUpdate(&t.scratch, &t.cache, nil, true))
		}
	}
	return plain, nil, netpoll.ReasonNone
}

// abort tells the peer what is wrong and ends the session.
func (t *Layer) abort(l *netpoll.Loop, c *netpoll.Conn, s *session, a alert) netpoll.Reason {
	l.SendSealed(c, s.sealAlert(&t.scratch, &t.cache, nil, a))
	s.flags |= flagEnded
	t.letGo(s)
	return netpoll.ReasonLayer
}

// Seal is netpoll.Layer.Seal.
func (t *Layer) Seal(l *netpoll.Loop, c *netpoll.Conn, dst []byte, pieces [][]byte) ([]byte, bool) {
	s := t.sessions.At(l.LayerState(c))
	switch {
	case s.suite != 0 && s.flags&flagEnded == 0:
		t.cache.tick(l.Now())
		dst = s.sealPieces(&t.scratch, &t.cache, dst, pieces)
		t.arm()
		return dst, true
	case c.Closing():
		return dst, true // nobody can read it
	}
	return dst, false
}

// SealEnd is netpoll.Layer.SealEnd.
func (t *Layer) SealEnd(l *netpoll.Loop, c *netpoll.Conn, dst []byte) []byte {
	s := t.sessions.At(l.LayerState(c))
	if s.suite == 0 || s.flags&flagEnded != 0 {
		return dst
	}
	s.flags |= flagEnded
	return s.sealAlert(&t.scratch, &t.cache, dst, alertCloseNotify)
}

// Detach is netpoll.Layer.Detach. It returns a *State. A connection in its handshake has none: no
// handler has had a byte of it.
func (t *Layer) Detach(l *netpoll.Loop, c *netpoll.Conn) any {
	s := t.sessions.At(l.LayerState(c))
	if s.suite == 0 {
		t.free(l, c)
		panic("tlsconn: Detach of a connection whose handshake is not over")
	}
	st := &State{session: *s, about: t.abouts.at(s.about)}
	if s.hold != 0 {
		st.in = t.holds.At(s.hold).in
	}
	st.session.hold, st.session.about, st.session.read.aead, st.session.write.aead = 0, 0, 0, 0
	t.free(l, c)
	return st
}

// Release is netpoll.Layer.Release.
func (t *Layer) Release(l *netpoll.Loop, c *netpoll.Conn) {
	if l.LayerState(c) == 0 {
		return
	}
	s := t.sessions.At(l.LayerState(c))
	if s.suite == 0 && s.flags&flagCounted == 0 && (s.hold != 0 || c.Reason() == netpoll.ReasonTimeout) {
		t.end(s, failureOfEnd(c.Reason()))
	}
	t.free(l, c)
}

// free ends what a connection has here.
func (t *Layer) free(l *netpoll.Loop, c *netpoll.Conn) {
	i := l.LayerState(c)
	s := t.sessions.At(i)
	t.cache.drop(&s.read)
	t.cache.drop(&s.write)
	if s.hold != 0 {
		if sh := t.holds.At(s.hold).shake; sh != nil {
			sh.abort()
		}
		t.letGo(s)
	}
	t.abouts.drop(s.about)
	t.sessions.Free(i)
}

// ConnectionState is what the handshake of c has found out; ok is false before its end and for
// connections without a layer. Loop only.
func (t *Layer) ConnectionState(l *netpoll.Loop, c *netpoll.Conn) (state tls.ConnectionState, ok bool) {
	if !c.Layered() || l.LayerState(c) == 0 {
		return state, false
	}
	s := t.sessions.At(l.LayerState(c))
	if s.about == 0 {
		return state, false
	}
	return t.abouts.at(s.about).state(), true
}
