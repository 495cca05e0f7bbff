// Who a client of Socket.IO is. It says so in each namespace that it connects to: by auth.token, or
// with the request that opened its connection.

package server

import (
	"errors"
	"fmt"
	"net/netip"

	"c100k/internal/auth"
	"c100k/internal/edge"
	"c100k/internal/engineio"
	"c100k/internal/hooks"
	"c100k/internal/proto"
	"c100k/internal/sio"
	"c100k/netpoll"
	"c100k/socketio"
)

// watchSIO is what the node does about the clients of Socket.IO.
func (s *Server) watchSIO(count *proto.Count) sio.Watch {
	w := sio.Watch{
		Opened: count.Opened,
		Closed: func(l *netpoll.Loop, session *engineio.Session, who *auth.Principal, reason engineio.Reason) {
			count.Closed(sioReasons[reason])
			s.sioEnded(l, session, who, reason)
		},
		Identify: s.identifySIO, Enter: s.enterSIO, Leave: s.leaveUser,
	}
	if s.hooks.events != nil {
		w.Joined = func(conn netpoll.ID, who *auth.Principal, address netip.Addr) {
			s.event(&hooks.Event{Type: hooks.EventConnect, Conn: conn.String(), Sub: subjectOf(who), Transport: rowSIO, Address: addressText(address)})
		}
		w.Left = func(conn netpoll.ID, who *auth.Principal, r engineio.Reason) {
			s.event(&hooks.Event{Type: hooks.EventDisconnect, Conn: conn.String(), Sub: subjectOf(who), Transport: rowSIO, Reason: sioReasons[r].String()})
		}
	}
	return w
}

// refusedSIO is a refusal as clients of Socket.IO get it; nil for none.
func refusedSIO(r *edge.Refusal) *sio.Refused {
	if r == nil {
		return nil
	}
	return &sio.Refused{Code: r.Label, Message: r.Reason}
}

// enterSIO counts a connection for its user. Between the look at the token and this, it may have
// been revoked.
func (s *Server) enterSIO(who *auth.Principal) *sio.Refused {
	return refusedSIO(s.admitUser(who))
}

// identifySIO finds out who wants to join a namespace: a sio.Watch.Identify.
func (s *Server) identifySIO(handshake any, done func(*auth.Principal, *sio.Refused)) {
	finish := func(who *auth.Principal, refusal *edge.Refusal) { done(who, refusedSIO(refusal)) }
	l, h := s.live.Load(), handshake.(*socketio.Handshake)
	if l.verifier == nil && len(s.identify.steps) == 0 && !l.requireToken && s.cfg.SocketIO != nil {
		finish(nil, nil) // what its clients send is for the program's middlewares
		return
	}
	q, refusal := s.questionOfSIO(h)
	if refusal != nil {
		finish(nil, refusal)
		return
	}
	if who, refusal, decided := s.identifyNow([]byte(q.token), q.found); decided {
		finish(who, refusal)
		return
	}
	q.answer = finish
	s.ask(q)
}

// questionOfSIO is the question about the client of a handshake.
func (s *Server) questionOfSIO(h *socketio.Handshake) (*question, *edge.Refusal) {
	head, err := sioHead(h)
	if err != nil {
		return nil, edge.RefuseUnanswered
	}
	token, found, refusal := s.token(head)
	if refusal != nil {
		return nil, refusal
	}
	q := &question{
		conn: h.Socket().Conn(), transport: rowSIO, token: string(token), found: found, addr: h.Address(), head: head, certificate: h.ClientSubject(),
		until: netpoll.Monotonic() + edge.WaitTimeoutDefault,
	}
	if found {
		return q, nil
	}
	var sent struct {
		Token *string `json:"token"`
	}
	if err := h.DecodeAuth(&sent); err != nil {
		return nil, refuseToken.With("auth.token is a string, in an object auth")
	}
	if sent.Token != nil {
		q.token, q.found, q.shown = *sent.Token, true, true
	}
	return q, nil
}

// sioHead is the head of the request that opened the connection, without the fields of the
// transport.
func sioHead(h *socketio.Handshake) (*edge.Head, error) {
	p := fmt.Appendf(nil, "GET %s HTTP/1.1\r\n", h.URL())
	h.EachHeader(func(name, value string) bool {
		p = fmt.Appendf(p, "%s: %s\r\n", name, value)
		return true
	})
	p = append(p, "\r\n"...)
	head := new(edge.Head)
	n, refusal := edge.ParseHead(head, p, edge.Limits{HeadBytes: len(p)})
	if refusal != nil {
		return nil, errors.New(refusal.Reason)
	}
	if n == 0 {
		return nil, errors.New("the head is not complete")
	}
	return head, nil
}

// checkSIO judges the token of a request that opens a session, if it has one. decided is false if
// that has to wait.
func (s *Server) checkSIO(h *edge.Head) (refusal *edge.Refusal, decided bool) {
	v := s.live.Load().verifier
	if v == nil || !engineio.OpensSession(h) {
		return nil, true
	}
	token, found, refusal := s.token(h)
	if refusal != nil || !found {
		return refusal, true
	}
	who, err, known := v.Cached(token)
	if !known {
		if !v.Quick() {
			return nil, false
		}
		who, err = v.TryVerify(string(token))
	}
	return s.judgeToken(who, err), true
}

// joined is called for each socket of "/".
func (t sioTopics) joined(socket *socketio.Socket) {
	if socket.Recovered() {
		t.recover(socket)
	} else {
		t.join(socket)
		t.prime(socket)
	}
}

// join subscribes the client to the topics that its token joins.
func (t sioTopics) join(socket *socketio.Socket) {
	topics := sio.Principal(socket).AppendJoin(nil)
	if len(topics) == 0 {
		return
	}
	if answer := t.add(socket, topics); !answer.OK {
		_ = socket.Volatile().Emit("error", answer) // a client that has left needs none
	}
}
