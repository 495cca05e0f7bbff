// Sessions of clients that have left, as the adapter over streams keeps them for recovery.

package siowire

import (
	"encoding/base64"
	"encoding/json"

	"c100k/internal/sio"
)

// AppendSession appends a session as npm @socket.io/redis-streams-adapter saves it: base64 of
// MessagePack. What Node's servers do not have is a member of its own, which they do not read.
func AppendSession(dst []byte, s *sio.SharedSession) []byte {
	data := s.Data
	if len(data) == 0 || string(data) == "null" {
		data = json.RawMessage("{}") // what programs of Node expect
	}
	o := object{dst: []byte{'{'}}
	o.text("sid", s.ID).text("pid", s.PID).names("rooms", s.Rooms).raw("data", data)
	if s.Own {
		o.name("c100k")
		own := object{dst: append(o.dst, '{')}
		own.text("base", sio.FormatOffset(s.Base)).text("settled", sio.FormatOffset(s.Settled))
		if s.Subject != "" {
			own.text("sub", s.Subject)
		}
		o.dst = append(own.dst, '}')
	}
	return base64.StdEncoding.AppendEncode(dst, sio.AppendMsgpack(nil, append(o.dst, '}'), nil))
}

type sessionJSON struct {
	SID   string          `json:"sid"`
	PID   string          `json:"pid"`
	Rooms names           `json:"rooms"`
	Data  json.RawMessage `json:"data"`
	C100k *struct {
		Base    string `json:"base"`
		Settled string `json:"settled"`
		Sub     string `json:"sub"`
	} `json:"c100k"`
}

// ParseSession decodes a session. Binary data in Data becomes base64 text.
func ParseSession(p []byte) (*sio.SharedSession, error) {
	if len(p) > MessageBytesMax {
		return nil, ErrTooLarge
	}
	raw, err := base64.StdEncoding.AppendDecode(nil, p)
	if err != nil {
		return nil, ErrFormat
	}
	p, _, err = text(raw, -1)
	if err != nil {
		return nil, ErrFormat
	}
	var s sessionJSON
	if json.Unmarshal(p, &s) != nil || s.SID == "" || s.PID == "" || len(s.SID) > RoomBytesMax || len(s.PID) > IDBytesMax {
		return nil, ErrFormat
	}
	session := &sio.SharedSession{ID: s.SID, PID: s.PID, Rooms: s.Rooms.list, Data: s.Data}
	if s.C100k == nil {
		return session, nil
	}
	var ok, ok2 bool
	session.Own, session.Subject = true, s.C100k.Sub
	session.Base, ok = sio.ParseOffset(s.C100k.Base)
	session.Settled, ok2 = sio.ParseOffset(s.C100k.Settled)
	if !ok || !ok2 {
		return nil, ErrFormat
	}
	return session, nil
}
