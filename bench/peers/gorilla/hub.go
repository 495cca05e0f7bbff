package main

// hub.go: the room of the chat example: one goroutine that knows the members, two for each member.

import (
	"time"

	"c100k-peers/peer"

	"github.com/gorilla/websocket"
)

type hub struct {
	members   map[*member]bool // the goroutine of run only
	join      chan *member
	leave     chan *member
	broadcast chan *websocket.PreparedMessage
}

func newHub() *hub {
	return &hub{
		members:   make(map[*member]bool),
		join:      make(chan *member),
		leave:     make(chan *member),
		broadcast: make(chan *websocket.PreparedMessage),
	}
}

func (h *hub) run() {
	for {
		select {
		case m := <-h.join:
			h.members[m] = true
		case m := <-h.leave:
			h.remove(m)
		case message := <-h.broadcast:
			for m := range h.members {
				select {
				case m.send <- message:
				default:
					h.remove(m)
				}
			}
		}
	}
}

// remove ends a member's writer, once.
func (h *hub) remove(m *member) {
	if h.members[m] {
		delete(h.members, m)
		close(m.send)
	}
}

type member struct {
	conn *websocket.Conn
	send chan *websocket.PreparedMessage // closed by the hub
}

// read hands what the member says to the hub. It is the only reader of the connection.
func (m *member) read(h *hub) {
	defer func() {
		h.leave <- m
		m.conn.Close()
	}()
	for {
		kind, p, err := m.conn.ReadMessage() // the message outlives this turn, so its buffer is no pooled one
		if err != nil {
			return
		}
		message, err := websocket.NewPreparedMessage(kind, p)
		if err != nil {
			return
		}
		h.broadcast <- message
	}
}

// write is the only writer of messages. When it ends, so does the reader, whose connection is
// closed.
func (m *member) write() {
	defer m.conn.Close()
	for message := range m.send {
		m.conn.SetWriteDeadline(time.Now().Add(peer.WriteWait))
		if m.conn.WritePreparedMessage(message) != nil {
			return
		}
	}
	m.conn.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseTryAgainLater, "too slow"), time.Now().Add(time.Second))
}
