// Packets from clients, over either transport.

package engineio

import "c100k/netpoll"

// packet handles a packet of the session. Types that only servers send are ignored, as in Node's
// server.
func (e *Endpoint) packet(l *netpoll.Loop, s *Session, p Packet) {
	switch p.Type {
	case PacketMessage:
		if p.Binary {
			e.cfg.App.Binary(l, s, p.Data)
		} else {
			e.cfg.App.Text(l, s, p.Data)
		}
	case PacketPing:
		e.pinged(l, s)
	case PacketPong:
		e.ponged(l, s)
	case PacketOpen, PacketClose, PacketUpgrade, PacketNoop:
	}
}

// receive handles the payload of a POST, packet by packet, until one ends the session.
func (e *Endpoint) receive(l *netpoll.Loop, s *Session, body []byte, binary bool) {
	payload, err := ParsePayload(s.flags&flagV3 != 0, binary, body)
	for err == nil && s.flags&flagClosed == 0 {
		var p Packet
		var ok bool
		if p, ok, err = payload.Next(); !ok {
			break
		}
		e.cfg.Counters.MessagesReceived++
		e.cfg.Counters.BytesReceived += uint64(len(p.Data))
		switch {
		case !e.within(l, s):
			e.shut(l, s, ReasonTransportError, codeNone, "")
		case p.Type == PacketClose:
			e.left(l, s)
		default:
			e.packet(l, s, p)
		}
	}
	if err != nil {
		e.shut(l, s, ReasonParseError, codeNone, "")
	}
}

// within tells whether one more message of a session that polls is within its own rate and that of
// its address: a client may open several sessions at no cost.
func (e *Endpoint) within(l *netpoll.Loop, s *Session) bool {
	if !e.sockets.Within(l, &s.State) {
		return false
	}
	if e.cfg.Rate <= 0 {
		return true
	}
	holder := e.holders[s.Member()]
	return holder == nil || holder.Spend(l.Now(), e.period, e.window)
}

// left ends the session of a polling client that has sent a close packet. A waiting poll is
// answered with a noop; a poll that this POST may have overtaken is waited for.
func (e *Endpoint) left(l *netpoll.Loop, s *Session) {
	e.end(l, s, ReasonTransportClose)
	poll := l.Lookup(s.poll)
	if poll == nil {
		s.flags |= flagOvertaken | flagLeft
		return
	}
	e.answerPoll(l, poll, s, noopFrame)
	e.settle(l, s)
}
