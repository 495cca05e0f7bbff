// RemoteSocket: a socket of any server, and its form in JSON, which servers exchange.

package socketio

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"
	"unique"
)

// RemoteSocket is a socket of this or another server, as it was when it was fetched. Its methods
// address the room of its id, and so reach the socket on any server. They may be called on any
// goroutine. It is no error if the socket has left meanwhile.
type RemoteSocket struct {
	ID        string
	Handshake *Handshake
	Rooms     []string // its id first
	Data      any      // Socket.Data; of a socket on another server, as encoding/json decodes it

	nsp *Namespace
}

// Target returns the socket as the target of a broadcast, for Volatile, Compress and other
// modifiers.
func (r *RemoteSocket) Target() Target { return r.nsp.To(r.ID) }

// Emit sends the socket an event: see Socket.Emit. A function as the last argument is called on any
// goroutine, when the client has acknowledged the event. If its first parameter is an error, it
// gets ErrTimeout after ten seconds, or ErrDisconnected if the socket has left.
func (r *RemoteSocket) Emit(event string, args ...any) error { return r.emit(0, event, args) }

// Send is Emit of the event "message".
func (r *RemoteSocket) Send(args ...any) error { return r.Emit("message", args...) }

// RemoteEmission sends an event to a RemoteSocket with a timeout for its acknowledgement.
type RemoteEmission struct {
	socket  *RemoteSocket
	timeout time.Duration
}

// Timeout sets how long to wait for an acknowledgement.
func (r *RemoteSocket) Timeout(d time.Duration) RemoteEmission { return RemoteEmission{r, d} }

// Emit is RemoteSocket.Emit with the timeout.
func (e RemoteEmission) Emit(event string, args ...any) error {
	return e.socket.emit(e.timeout, event, args)
}

// EmitWithAck sends an event and waits for its acknowledgement, until the timeout is over or ctx
// ends. It blocks: never call it on an event loop, where handlers run.
func (e RemoteEmission) EmitWithAck(ctx context.Context, event string, args ...any) (Args, error) {
	return single(e.socket.Target().Timeout(e.timeout).EmitWithAck(ctx, event, args...))
}

func (r *RemoteSocket) emit(timeout time.Duration, event string, args []any) error {
	args, fn := splitAck(args)
	if fn == nil {
		return r.Target().emit(event, args, nil)
	}
	h := newHandler("acknowledgement", fn)
	return r.Target().Timeout(timeout).emit(event, args, func(answers []Args, err error) {
		answer, err := single(answers, err)
		if err != nil && !h.sig.failure {
			return
		}
		if err := h.call(nil, err, answer, nil); err != nil {
			r.nsp.server.opt.Logger.Debug("an acknowledgement was not handled", "socket", r.ID, "err", err)
		}
	})
}

// single returns the answer of the only socket.
func single(answers []Args, err error) (Args, error) {
	if len(answers) > 0 {
		return answers[0], nil
	}
	if err == nil {
		err = ErrDisconnected
	}
	return Args{}, err
}

// Join puts the socket into rooms: see Socket.Join.
func (r *RemoteSocket) Join(rooms ...string) error { return r.Target().SocketsJoin(rooms...) }

// Leave takes the socket out of a room: see Socket.Leave.
func (r *RemoteSocket) Leave(room string) error { return r.Target().SocketsLeave(room) }

// Disconnect takes the client out of the namespace: see Socket.Disconnect.
func (r *RemoteSocket) Disconnect(closing bool) error { return r.Target().DisconnectSockets(closing) }

// socketJSON is a socket in JSON, in the format of Node's adapters.
type socketJSON struct {
	ID        string          `json:"id"`
	Handshake handshakeJSON   `json:"handshake"`
	Rooms     []string        `json:"rooms"`
	Data      json.RawMessage `json:"data,omitempty"`
}

type handshakeJSON struct {
	Headers map[string]stringOrList `json:"headers"`
	Time    string                  `json:"time"`
	Address string                  `json:"address"`
	XDomain bool                    `json:"xdomain"`
	Secure  bool                    `json:"secure"`
	Issued  int64                   `json:"issued"` // Unix milliseconds
	URL     string                  `json:"url"`
	Query   map[string]stringOrList `json:"query"`
	Auth    json.RawMessage         `json:"auth"`
}

// stringOrList is a string, or a list of strings for a header or parameter that occurs several
// times.
type stringOrList []string

// MarshalJSON writes one string as a string, and several as a list.
func (t stringOrList) MarshalJSON() ([]byte, error) {
	if len(t) == 1 {
		return json.Marshal(t[0])
	}
	return json.Marshal([]string(t))
}

// UnmarshalJSON reads a string or a list.
func (t *stringOrList) UnmarshalJSON(p []byte) error {
	var one string
	if json.Unmarshal(p, &one) == nil {
		*t = stringOrList{one}
		return nil
	}
	return json.Unmarshal(p, (*[]string)(t))
}

// jsTime is how JavaScript writes a Date as text, in UTC.
const jsTime = "Mon Jan 02 2006 15:04:05 GMT+0000 (Coordinated Universal Time)"

// MarshalJSON writes the socket as Node's adapters do: id, handshake, rooms, data. A Data that is
// nil is written as {}, which the data of a socket of Node is at first. The error is that of
// encoding/json for Data.
func (r *RemoteSocket) MarshalJSON() ([]byte, error) {
	data, err := json.Marshal(r.Data)
	if err != nil {
		return nil, fmt.Errorf("data of socket %s: %w", r.ID, err)
	}
	if string(data) == "null" {
		data = json.RawMessage("{}") // what programs of Node expect
	}
	h := r.Handshake
	text := socketJSON{ID: r.ID, Rooms: r.Rooms, Data: data, Handshake: handshakeJSON{
		Headers: map[string]stringOrList{}, Query: map[string]stringOrList{}, Auth: h.Auth(), URL: h.URL(),
		Time: h.Time().UTC().Format(jsTime), Issued: h.Time().UnixMilli(), XDomain: h.CrossOrigin(), Secure: h.Secure(),
	}}
	if h.Address().IsValid() {
		text.Handshake.Address = h.Address().String()
	}
	if text.Handshake.Auth == nil {
		text.Handshake.Auth = json.RawMessage("{}")
	}
	h.EachHeader(func(name, value string) bool {
		text.Handshake.Headers[name] = append(text.Handshake.Headers[name], value)
		return true
	})
	for name, values := range h.Query() {
		text.Handshake.Query[name] = values
	}
	return json.Marshal(text)
}

// errSocketJSON is returned by ParseSocket for JSON that is no socket.
var errSocketJSON = errors.New("socketio: from another server: not a socket")

// ParseSocket decodes a socket that another server has sent: the JSON of RemoteSocket.MarshalJSON,
// which is that of Node's adapters.
func (l *Local) ParseSocket(p []byte) (*RemoteSocket, error) {
	var text socketJSON
	if err := json.Unmarshal(p, &text); err != nil {
		return nil, fmt.Errorf("%w: %w", errSocketJSON, err)
	}
	if text.ID == "" {
		return nil, errSocketJSON
	}
	r := &RemoteSocket{ID: text.ID, Rooms: text.Rooms, nsp: l.nsp}
	if len(text.Data) > 0 {
		if err := json.Unmarshal(text.Data, &r.Data); err != nil {
			return nil, fmt.Errorf("%w: %w", errSocketJSON, err)
		}
	}
	h := &text.Handshake
	if string(h.Auth) == "null" {
		h.Auth = nil
	}
	f := &facts{time: h.Issued}
	common := sharedFacts{url: h.URL}
	var lines strings.Builder
	for name, values := range h.Headers {
		for _, value := range values {
			lines.WriteString(headerEscaper.Replace(strings.ToLower(name)) + ": " + headerEscaper.Replace(value) + "\n")
		}
	}
	f.own = lines.String()
	if h.Secure {
		common.flags |= factSecure
	}
	if h.XDomain {
		common.flags |= factCrossOrigin
	}
	if a, err := netip.ParseAddr(h.Address); err == nil {
		f.address = a.As16()
	}
	f.common = unique.Make(common)
	r.Handshake = &Handshake{facts: f, namespace: l.nsp.name, id: text.ID, data: r.Data, auth: h.Auth}
	return r, nil
}

// headerEscaper replaces line breaks in a header of another server.
var headerEscaper = strings.NewReplacer("\r", " ", "\n", " ")
