package main

// room.go: the chat server of the example: a channel for each subscriber, filled under one lock.

import (
	"sync"

	"c100k-peers/peer"

	"github.com/coder/websocket"
)

type message struct {
	kind    websocket.MessageType
	payload []byte
}

type member struct {
	conn *websocket.Conn
	send chan message
}

type room struct {
	mu      sync.Mutex
	members map[*member]struct{} // guarded by mu
}

// serve returns when the member is gone.
func (r *room) serve(conn *websocket.Conn) {
	defer conn.CloseNow()
	m := &member{conn: conn, send: make(chan message, peer.LagMessagesMax)}
	r.mu.Lock()
	r.members[m] = struct{}{}
	r.mu.Unlock()
	gone := make(chan struct{})
	defer close(gone)
	defer r.leave(m)
	go m.write(gone)
	for {
		kind, p, err := conn.Read(background) // the message outlives this turn, so its buffer is no pooled one
		if err != nil {
			return
		}
		r.broadcast(message{kind, p})
	}
}

func (r *room) leave(m *member) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.members, m)
}

func (r *room) broadcast(p message) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for m := range r.members {
		select {
		case m.send <- p:
		default:
			delete(r.members, m)
			go m.conn.Close(websocket.StatusPolicyViolation, "connection too slow to keep up with messages")
		}
	}
}

func (m *member) write(gone <-chan struct{}) {
	for {
		select {
		case p := <-m.send:
			if m.conn.Write(background, p.kind, p.payload) != nil {
				m.conn.CloseNow()
				return
			}
		case <-gone:
			return
		}
	}
}
