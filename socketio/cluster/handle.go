// What other servers ask for.

package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"c100k/internal/siowire"
	"c100k/socketio"
)

// handle carries out a message of another server, or takes its answer. The carrier's goroutine.
func (a *adapter) handle(m *siowire.Message) { a.carryOut(m, 0) }

// carryOut is handle of a message with a number in the log that all servers share; 0: it has none.
func (a *adapter) carryOut(m *siowire.Message, number uint64) {
	var err error
	switch m.Type {
	case siowire.Broadcast:
		err = a.broadcast(m, number)
	case siowire.SocketsJoin:
		if of, any := a.selection(m); any {
			err = a.local.AddRooms(of, m.Names)
		}
	case siowire.SocketsLeave:
		if of, any := a.selection(m); any {
			err = a.local.DelRooms(of, m.Names)
		}
	case siowire.DisconnectSockets:
		if of, any := a.selection(m); any {
			err = a.local.Disconnect(of, m.Close)
		}
	case siowire.JoinOne, siowire.LeaveOne, siowire.DisconnectOne:
		err = a.one(m)
	case siowire.FetchSockets, siowire.SocketIDs, siowire.AllRooms:
		a.tell(m)
	case siowire.ServerSideEmit:
		err = a.serverSide(m)
	case siowire.BroadcastClientCount:
		a.clients(m)
	case siowire.BroadcastAck:
		a.acknowledged(m)
	case siowire.Answer, siowire.FetchSocketsAnswer, siowire.ServerSideEmitAnswer:
		a.answered(m)
	}
	if err == nil {
		return
	}
	if errors.Is(err, socketio.ErrBusy) {
		a.c.counters.busy.Add(1)
		return
	}
	a.c.refuse(a, err)
}

// selection returns the sockets that are meant. Rooms without sockets here are left out, so that
// the event loops need not look for them; any is false if none is left.
func (a *adapter) selection(m *siowire.Message) (of socketio.Selection, any bool) {
	of = socketio.Selection{Rooms: m.Rooms, Except: m.Except}
	if len(of.Rooms) > 0 {
		of.Rooms = slices.DeleteFunc(of.Rooms, func(room string) bool { return !a.local.MayHaveRoom(room) })
		if len(of.Rooms) == 0 {
			return of, false
		}
	}
	of.Except = slices.DeleteFunc(of.Except, func(room string) bool { return !a.local.MayHaveRoom(room) })
	return of, true
}

func (a *adapter) broadcast(m *siowire.Message, number uint64) error {
	if number != 0 {
		return a.logged(m, number)
	}
	acks := m.RequestID != ""
	of, any := a.selection(m)
	if !any {
		if acks {
			reporter{a, m.RequestID, m.UID}.Clients(0)
		}
		return nil
	}
	e, err := socketio.ParseEvent(m.Payload, m.Attachments)
	if err != nil {
		return err
	}
	b := socketio.Broadcast{Selection: of, Event: e, Volatile: m.Volatile, NoCompress: m.NoCompress}
	if !acks {
		return a.local.Broadcast(b)
	}
	if a.foreignAcks.Add(1) > foreignAcksMax {
		a.foreignAcks.Add(-1)
		return socketio.ErrBusy
	}
	b.Timeout = ackTimeout(m.Timeout)
	b.Acks = reporter{a, m.RequestID, m.UID}
	time.AfterFunc(b.Timeout, func() { a.foreignAcks.Add(-1) })
	return a.local.Broadcast(b)
}

// one carries out the requests of older adapters for one socket.
func (a *adapter) one(m *siowire.Message) error {
	s := a.local.Namespace().Socket(m.Socket)
	if s == nil {
		return nil
	}
	var err error
	switch m.Type {
	case siowire.JoinOne:
		err = s.Join(m.Names...)
	case siowire.LeaveOne:
		err = s.Leave(m.Names[0])
	case siowire.DisconnectOne:
		err = s.Disconnect(m.Close)
	}
	if m.RequestID != "" {
		answer := a.answer(siowire.Answer, m.RequestID, m.UID)
		a.reply(&answer)
	}
	return err
}

// tell answers questions about the sockets and rooms of this server.
func (a *adapter) tell(m *siowire.Message) {
	if m.RequestID == "" {
		return
	}
	kind := siowire.Answer
	if m.Type == siowire.FetchSockets {
		kind = siowire.FetchSocketsAnswer
	}
	answer := a.answer(kind, m.RequestID, m.UID)
	if m.Type == siowire.AllRooms {
		answer.Names = a.local.Rooms()
		if answer.Names == nil {
			answer.Names = []string{}
		}
		a.reply(&answer)
		return
	}
	answer.Sockets = []json.RawMessage{}
	of, any := a.selection(m)
	if !any {
		a.reply(&answer)
		return
	}
	list, _ := a.local.Fetch(context.Background(), of) // it fails only with its context
	size := 0
	for _, s := range list {
		text, err := socketText(m.Type, s)
		if err != nil {
			answer.Sockets, answer.Failed = nil, err.Error()
			break
		}
		if size += len(text) + 1; size > siowire.AnswerBytesMax/2 {
			answer.Sockets, answer.Failed = nil, "too many sockets for one answer"
			break
		}
		answer.Sockets = append(answer.Sockets, text)
	}
	a.reply(&answer)
}

// socketText returns a socket, or only its id, as JSON.
func socketText(t siowire.Type, s *socketio.RemoteSocket) (json.RawMessage, error) {
	if t == siowire.SocketIDs {
		return json.Marshal(s.ID)
	}
	return s.MarshalJSON()
}

func (a *adapter) serverSide(m *siowire.Message) error {
	e, err := socketio.ParseEvent(m.Payload, m.Attachments)
	if err != nil {
		return err
	}
	if m.RequestID == "" {
		return a.local.ServerSideEvent(e, nil)
	}
	id, to := m.RequestID, m.UID
	return a.local.ServerSideEvent(e, func(args socketio.Args) {
		answer := a.answer(siowire.ServerSideEmitAnswer, id, to)
		answer.Payload, answer.Attachments = firstArg(args)
		a.reply(&answer)
	})
}
