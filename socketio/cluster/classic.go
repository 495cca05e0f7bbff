// The form of npm @socket.io/redis-adapter.

package cluster

import (
	"strings"

	"c100k/internal/siowire"
)

// classic is the form of createAdapter of @socket.io/redis-adapter.
type classic struct {
	siowire.Classic
	commonAnswers bool
}

// uid implements form. Node's are shorter, and may be of any length.
func (classic) uid() string { return randomID() }

func (f classic) subscriptions(a *adapter) []subscription {
	return []subscription{
		{pattern: true, name: f.Pattern(a.nsp)},
		{name: f.RequestChannel(a.nsp)},
		{name: f.ResponseChannel(a.nsp)},
		{name: f.SpecificChannel(a.nsp, a.uid)},
	}
}

func (f classic) encode(m *siowire.Message) (channel string, p []byte) {
	if f.commonAnswers {
		m.To = ""
	}
	return f.Channel(m), f.Append(nil, m)
}

func (f classic) decode(a *adapter, channel string, p []byte) (m siowire.Message, ok bool, err error) {
	if room, ok := f.Room(a.nsp, channel); ok {
		if room != "" && !a.local.MayHaveRoom(room) || f.FromSelf(p, a.uid) {
			return m, false, nil
		}
		m, err = f.ParseBroadcast(p)
		return m, m.Namespace == a.nsp && m.UID != a.uid, err
	}
	if channel == f.RequestChannel(a.nsp) {
		m, err = f.ParseRequest(a.nsp, p)
		return m, m.UID != a.uid, err
	}
	if strings.HasPrefix(channel, f.ResponseChannel(a.nsp)) {
		m, err = f.ParseResponse(a.nsp, p)
		return m, err == nil && m.UID != a.uid, err
	}
	return m, false, nil
}

// probe asks for the sockets in a room that does not exist.
func (classic) probe(a *adapter, id string) siowire.Message {
	return siowire.Message{Type: siowire.SocketIDs, UID: a.uid, Namespace: a.nsp, RequestID: id, Rooms: []string{id}}
}
