// Packets from clients, over either transport.

package engineio

import (
	"c100k/internal/edge"
	"c100k/internal/trace"
	"c100k/netpoll"
)

// packet handles a packet of the session. Types that only servers send are ignored, as in Node's
// server.
func (e *Endpoint) packet(l *netpoll.Loop, s *Session, p Packet) {
	switch p.Type {
	case PacketMessage:
		if e.cfg.Tap.On() {
			e.tell(l, s, trace.In, p.Data)
		}
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

// tell tells the tap of a message.
func (e *Endpoint) tell(l *netpoll.Loop, s *Session, kind trace.Kind, p []byte) {
	if anchor := l.Lookup(s.anchor); anchor != nil {
		e.cfg.Tap.Message(l, anchor, kind, "", 1, p)
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
		case !e.within(l, s, len(p.Data)):
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

// within tells whether one more message of a session that polls, of n bytes, is within its own
// rates and those of its address: a client may open several sessions at no cost.
func (e *Endpoint) within(l *netpoll.Loop, s *Session, n int) bool {
	if !e.sockets.Within(l, &s.State, n) {
		return false
	}
	holder := e.holders[s.Member()]
	return holder == nil || e.spend(l, holder, n)
}

// spend takes one message of n bytes from the rates of an address.
func (e *Endpoint) spend(l *netpoll.Loop, holder *edge.SessionHolder, n int) bool {
	return holder.SpendMessage(l.Now(), e.messages.Cost(n), e.messages.Full) && holder.SpendBytes(l.Now(), e.bytes.Cost(n), e.bytes.Full)
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
