// Who a client of Socket.IO is. It says so when it connects to "/": by auth.token, or with the
// request that opened its connection.

package server

import (
	"errors"
	"fmt"
	"time"

	"c100k/internal/auth"
	"c100k/internal/edge"
	"c100k/netpoll"
	"c100k/socketio"
)

// sioClient is the Data of a socket whose client was identified.
type sioClient struct {
	who    *auth.Principal
	expiry *time.Timer // nil if the rights do not end; only clients with rights that end have one
}

// principalOf is the socket's principal; nil if its client was not identified.
func principalOf(socket *socketio.Socket) *auth.Principal { return principalIn(socket.Data()) }

// principalIn is the principal in the Data of a socket, nil if there is none.
func principalIn(data any) *auth.Principal {
	if c, ok := data.(*sioClient); ok {
		return c.who
	}
	return nil
}

// identify is a middleware: it finds out who the client is, and refuses it with a code of
// docs/api.md and the status that other protocols answer with.
func (t sioTopics) identify(h *socketio.Handshake, next func(error)) {
	finish := func(who *auth.Principal, refusal *edge.Refusal) {
		if refusal != nil {
			next(socketio.Refuse(refusal.Reason, map[string]any{"code": refusal.Label, "status": refusal.Status}))
			return
		}
		if who != nil {
			h.SetData(&sioClient{who: who})
		}
		next(nil)
	}
	head, err := sioHead(h)
	if err != nil {
		finish(nil, edge.RefuseUnanswered)
		return
	}
	token, found, refusal := t.s.token(head)
	if refusal != nil {
		finish(nil, refusal)
		return
	}
	var sent struct {
		Token *string `json:"token"`
	}
	if err := h.DecodeAuth(&sent); err != nil {
		finish(nil, refuseToken)
		return
	}
	if sent.Token != nil {
		token, found = []byte(*sent.Token), true
	}
	who, refusal, decided := t.s.identifyNow(token, found)
	if decided {
		finish(who, refusal)
		return
	}
	t.s.ask(&question{
		conn: h.Socket().Conn(), transport: rowSIO, token: string(token), found: found, addr: h.Address(), head: head,
		until: netpoll.Monotonic() + edge.WaitTimeoutDefault, answer: finish,
	})
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

// joined is called for each socket of "/": it subscribes the client to the topics that it joins,
// and ends its connection when its rights end.
func (t sioTopics) joined(socket *socketio.Socket) {
	c, ok := socket.Data().(*sioClient)
	if !ok {
		return
	}
	if topics := c.who.AppendJoin(nil); len(topics) > 0 {
		if answer := t.add(socket, topics); !answer.OK {
			_ = socket.Emit("error", answer) // a client that has left needs none
		}
	}
	if c.who.Expires != 0 {
		c.expiry = time.AfterFunc(c.who.Expires-netpoll.Monotonic(), func() {
			_ = socket.Emit("expired")
			_ = socket.Disconnect(true)
		})
	}
}
