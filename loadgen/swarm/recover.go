// Mode recover: where a client is, so that it can go on there when it comes back, and how that
// went.

package swarm

import (
	"bytes"
	"cmp"
	"time"

	"c100k/netpoll"
)

// place is what a client of a recovery shows when it comes back: 168 bytes without a pointer.
type place struct {
	at     [placeBytesMax]byte // position of the last message; with Socket.IO its offset
	secret [pidBytesMax]byte   // the private id of a Socket.IO session
	atN    uint8
	pidN   uint8
	shown  bool // it has shown its place on this connection, and not been told how that went
	behind bool // it is back, and has heard nothing yet that was sent since
}

func (p *place) position() []byte { return p.at[:p.atN] }
func (p *place) pid() []byte      { return p.secret[:p.pidN] }

// note keeps the position of a message. One that is too long is of another kind of server: it is
// none.
func (s *Swarm) note(i uint32, position []byte) {
	if s.places == nil || len(position) == 0 {
		return
	}
	p := &s.places[i]
	if len(position) > placeBytesMax || bytes.IndexByte(position, '\\') >= 0 || bytes.IndexByte(position, '\n') >= 0 {
		position = nil
	}
	p.atN = uint8(copy(p.at[:], position))
}

// shows tells whether a client that connects has a place to show.
func (s *Swarm) shows(i uint32) bool {
	return s.places != nil && s.clients[i].flags&flagOpened != 0 && (s.places[i].atN > 0 || s.places[i].pidN > 0)
}

// show is called when a client shows its place.
func (s *Swarm) show(i uint32) { s.places[i].shown = true }

// resumes tells whether a client that has just opened is to go on where it was, as far as it knows.
func (s *Swarm) resumes(i uint32) bool {
	return s.places != nil && (s.places[i].shown || s.places[i].behind)
}

// recovered is for a client that the server lets go on where it was: it must hear all that it has
// missed.
func (s *Swarm) recovered(i uint32) {
	if s.places == nil || !s.places[i].shown {
		return
	}
	s.places[i].shown, s.places[i].behind = false, true
	s.tally.recovered++
}

// beganAnew is for a client that the server does not let go on where it was: what it missed is
// missed.
func (s *Swarm) beganAnew(i uint32) {
	if s.places == nil {
		return
	}
	p, cl := &s.places[i], &s.clients[i]
	if p.behind && !p.shown { // a stream of events counts as recovered until it says otherwise
		s.tally.recovered--
	} else if !p.shown {
		return
	}
	p.shown, p.behind = false, true
	s.tally.reset++
	cl.flags |= flagJoined
	cl.since = s.heard[s.topic(i)]
}

// hasNothingToShow is for a client that has opened and does not go on where it was.
func (s *Swarm) hasNothingToShow(i uint32) {
	if s.places != nil && s.clients[i].flags&flagOpened != 0 {
		s.places[i].behind = true
		s.tally.reset++
	}
}

// caughtUp looks whether a client that is back has heard a message that was sent since it began to
// come back. Those that were to come back at one moment are timed from that on.
func (s *Swarm) caughtUp(i uint32, sent, now time.Duration) {
	if s.places == nil || !s.places[i].behind || sent < s.clients[i].began {
		return
	}
	s.places[i].behind = false
	record(s.measured.catchup, now-min(s.clients[i].began, cmp.Or(s.backAt, s.clients[i].began)))
}

// cut is how many clients a Drop is for.
func (s *Swarm) cut(d Drop) uint32 {
	if d.Share <= 0 {
		return uint32(len(s.clients))
	}
	return uint32(min(max(1, int(d.Share*float64(len(s.clients))+0.5)), len(s.clients)))
}

// connectPacket is what opens the main namespace of a Socket.IO server.
func (s *Swarm) connectPacket(dst []byte, i uint32) []byte {
	dst = append(dst, "40"...)
	if !s.shows(i) {
		return dst
	}
	p := &s.places[i]
	s.show(i)
	dst = append(append(append(dst, `{"pid":"`...), p.pid()...), '"')
	if p.atN > 0 {
		dst = append(append(append(dst, `,"offset":"`...), p.position()...), '"')
	}
	return append(dst, '}')
}

// takePID reads the answer to connectPacket, and tells whether the server has recovered the
// session: then it has the same private id as before.
func (s *Swarm) takePID(i uint32, data []byte) (same bool) {
	if s.places == nil {
		return false
	}
	_, text, _ := bytes.Cut(data, []byte(`"pid":"`))
	pid, _, _ := bytes.Cut(text, []byte(`"`))
	if len(pid) > pidBytesMax || bytes.IndexByte(pid, '\\') >= 0 {
		pid = nil
	}
	p := &s.places[i]
	if len(pid) > 0 && bytes.Equal(pid, p.pid()) {
		s.recovered(i)
		return true
	}
	p.pidN, p.atN = uint8(copy(p.secret[:], pid)), 0
	s.beganAnew(i)
	return false
}

// lastArgument is the last argument of a Socket.IO event, if that is a string: with connection
// state recovery it is the event's offset.
func lastArgument(data []byte) []byte {
	end := bytes.LastIndexByte(data, ']')
	if end < 1 || data[end-1] != '"' {
		return nil
	}
	begin := bytes.LastIndex(data[:end-1], []byte(`,"`))
	if begin < 0 {
		return nil
	}
	return data[begin+2 : end-1]
}

// lastEventID is the header line by which a client of events shows its place.
func (s *Swarm) lastEventID(dst []byte, i uint32) []byte {
	if s.spec.Protocol != SSE || !s.shows(i) {
		return dst
	}
	s.show(i)
	dst = append(dst[:len(dst)-2], "Last-Event-ID: "...) // in front of the empty line
	return append(append(dst, s.places[i].position()...), "\r\n\r\n"...)
}

// putOff sets when clients that are dropped come back, all at one time.
func (s *Swarm) putOff(l *netpoll.Loop, d Drop) {
	s.backAt = 0
	if d.Away > 0 {
		s.backAt = l.Now() + d.Away
	}
}
