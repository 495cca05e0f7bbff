// Broadcasts with acknowledgements: those of this server, and those of others.

package cluster

import (
	"encoding/json"
	"slices"
	"time"

	"c100k/internal/jsontext"
	"c100k/internal/siowire"
	"c100k/socketio"
)

// ackRequest is a broadcast of this server that waits for acknowledgements of clients of others.
type ackRequest struct {
	acks  socketio.Acks
	named []string // servers that have reported their clients
	bytes int      // of acknowledgements
	timer *time.Timer
}

// clientsMax bounds what one server may report as its clients.
const clientsMax = 1 << 30

func (a *adapter) expectAcks(id string, acks socketio.Acks, timeout time.Duration) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.acks) >= requestsMax {
		return socketio.ErrBusy
	}
	a.acks[id] = &ackRequest{acks: acks, timer: time.AfterFunc(timeout, func() { a.forgetAcks(id) })}
	return nil
}

func (a *adapter) forgetAcks(id string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if q := a.acks[id]; q != nil {
		q.timer.Stop()
		delete(a.acks, id)
	}
}

// clients takes the report of a server: how many clients it has sent a broadcast to.
func (a *adapter) clients(m *siowire.Message) {
	a.mu.Lock()
	q := a.acks[m.RequestID]
	if q == nil || m.Clients < 0 || m.Clients > clientsMax || m.UID != "" && slices.Contains(q.named, m.UID) {
		a.mu.Unlock()
		return
	}
	if m.UID != "" && len(q.named) < serversMax {
		q.named = append(q.named, m.UID)
	}
	a.mu.Unlock()
	q.acks.Clients(m.Clients)
}

// acknowledged takes the acknowledgement of a client of another server.
func (a *adapter) acknowledged(m *siowire.Message) {
	a.mu.Lock()
	q := a.acks[m.RequestID]
	size := len(m.Payload) + outMessageBytes
	if q == nil || q.bytes+size > answersBytesMax {
		a.mu.Unlock()
		return
	}
	q.bytes += size
	a.mu.Unlock()
	answer, err := oneArg(m)
	if err != nil {
		a.c.refuse(a, err)
		return
	}
	q.acks.Answer(answer)
}

// reporter sends the acknowledgements of clients of this server to the server that wants them.
type reporter struct {
	a  *adapter
	id string // of the request
	to string
}

// Clients implements socketio.Acks.
func (r reporter) Clients(n int) {
	m := r.a.answer(siowire.BroadcastClientCount, r.id, r.to)
	m.Clients = n
	r.a.reply(&m)
}

// Answer implements socketio.Acks.
func (r reporter) Answer(answer socketio.Args) {
	m := r.a.answer(siowire.BroadcastAck, r.id, r.to)
	m.Payload, m.Attachments = firstArg(answer)
	r.a.reply(&m)
}

// firstArg returns the first argument of an answer, which is all that servers of Node expect; nil
// if there is none.
func firstArg(answer socketio.Args) (json.RawMessage, [][]byte) {
	if answer.Len() == 0 {
		return nil, nil
	}
	list, attachments := answer.Encoded()
	end, _ := jsontext.SkipValue(list, 1, 1) // valid since it was made
	return list[1:end], attachments
}

// answer begins an answer to another server.
func (a *adapter) answer(t siowire.Type, id, to string) siowire.Message {
	return siowire.Message{Type: t, UID: a.uid, Namespace: a.nsp, RequestID: id, To: to}
}

// reply sends an answer. If the queue is full, the other server does without.
func (a *adapter) reply(m *siowire.Message) { _ = a.send(m, nil, nil) }
