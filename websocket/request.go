// The request that opens a connection, and the decision about it.

package websocket

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"

	"c100k/internal/auth"
	"c100k/internal/edge"
)

// Request is the HTTP request of a handshake. It is valid during the call that it was given to;
// Keep makes one that lasts.
type Request struct {
	head *edge.Head
	addr netip.Addr
	who  *auth.Principal
}

// Keep returns a copy that may be kept. Any goroutine may use the copy.
func (r *Request) Keep() *Request { return &Request{r.head.Clone(), r.addr, r.who} }

// Path returns the path, decoded.
func (r *Request) Path() string {
	p, _ := edge.PathUnescape(r.head.Path()) // it led here, so it can be decoded
	return string(p)
}

// RawQuery returns the query as it was sent.
func (r *Request) RawQuery() string { return string(r.head.Query()) }

// Query returns the query's parameters. A malformed pair is left out.
func (r *Request) Query() url.Values {
	v, _ := url.ParseQuery(r.RawQuery()) // the pairs that are good are in v
	return v
}

// Host returns the host that the client named.
func (r *Request) Host() string { return string(r.head.Host()) }

// Header returns the value of the first header field of that name, "" if there is none.
func (r *Request) Header(name string) string {
	v, _ := r.head.Get(strings.ToLower(name))
	return string(v)
}

// Headers returns all header fields.
func (r *Request) Headers() http.Header {
	h := http.Header{}
	for i := range r.head.Fields() {
		name, value := r.head.Field(i)
		h.Add(string(name), string(value))
	}
	return h
}

// Cookie returns the value of a cookie, "" if there is none of that name. A browser sends cookies
// with requests of any page: Options.Origins decides whose requests come here.
func (r *Request) Cookie(name string) string {
	c, err := (&http.Request{Header: r.Headers()}).Cookie(name)
	if err != nil {
		return ""
	}
	return c.Value
}

// Address returns the client's address; invalid if it is not known, as on a unix socket.
func (r *Request) Address() netip.Addr { return r.addr }

// Subject returns whom the client speaks for, as its token or server.Config.Authenticate says; ""
// if it was not identified, or the server is not on a node. A client with a token that is not valid
// is refused before OnUpgrade.
func (r *Request) Subject() string {
	if r.who == nil {
		return ""
	}
	return r.who.Subject
}

// Secure tells whether the client speaks TLS, with the server or with a proxy in front that says
// so.
func (r *Request) Secure() bool { return r.head.Secure() }

// Subprotocols returns what the client offers, in its order.
func (r *Request) Subprotocols() (offers []string) {
	for _, line := range r.Headers().Values("Sec-WebSocket-Protocol") {
		for offer := range strings.SplitSeq(line, ",") {
			offers = append(offers, strings.TrimSpace(offer))
		}
	}
	return offers
}

// Upgrade is a handshake about which OnUpgrade decides. Without a decision it is accepted. Its
// methods are for the handler, until that returns. After Wait they are for the goroutine that will
// call Accept or Refuse, one of them, once.
type Upgrade struct {
	request *Request

	mu       sync.Mutex // guards the fields below, once Wait was called
	decision decision
	ticket   *edge.Ticket // where the answer goes, once the request is parked
	header   []byte       // extra lines of the answer
	chosen   string       // subprotocol
	data     any          // what Conn.Data will be
	refusal  refusal
}

type decision uint8

const (
	undecided decision = iota
	waits
	accepted
	refused
)

type refusal struct {
	status int
	body   string
}

// Request returns the handshake's request. It is valid until the handler returns, after Wait until
// the answer.
func (u *Upgrade) Request() *Request { return u.request }

// Subprotocol chooses a subprotocol. It must be one that the client offers; an empty one chooses
// none.
func (u *Upgrade) Subprotocol(name string) error {
	if name != "" {
		offered := false
		for _, offer := range u.request.Subprotocols() {
			offered = offered || offer == name
		}
		if !offered {
			return fmt.Errorf("websocket: the client does not offer subprotocol %q", name) // RFC 6455, 4.2.2
		}
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.decided() {
		return errDecided
	}
	u.chosen = name
	return nil
}

// SetHeader adds a header field to the answer, a Set-Cookie for example. The error says what is
// wrong with it; the fields of the handshake itself cannot be set.
func (u *Upgrade) SetHeader(name, value string) error {
	if !edge.ValidField(name, value) {
		return fmt.Errorf("websocket: %q is no header field", name+": "+value)
	}
	switch lower := strings.ToLower(name); {
	case strings.HasPrefix(lower, "sec-websocket-"), lower == "connection", lower == "upgrade",
		lower == "content-length", lower == "transfer-encoding":
		return fmt.Errorf("websocket: the field %s is the handshake's own", name)
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.decided() {
		return errDecided
	}
	if len(u.header)+len(name)+len(value) > headerBytesMax {
		return fmt.Errorf("websocket: the answer's header fields have more than %d bytes", headerBytesMax)
	}
	u.header = append(append(append(append(u.header, name...), ": "...), value...), "\r\n"...)
	return nil
}

// SetData gives the connection its Conn.Data, if there will be one. After the decision it does
// nothing.
func (u *Upgrade) SetData(v any) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if !u.decided() {
		u.data = v
	}
}

// Wait keeps the handshake open until Accept or Refuse is called, on any goroutine. The handshake's
// deadline goes on: Options.UpgradeTimeout. Bytes that the client sends meanwhile are kept.
func (u *Upgrade) Wait() {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.decision == undecided {
		u.decision = waits
		u.request = u.request.Keep()
	}
}

// Accept accepts the connection. It is an error where there is a decision already.
func (u *Upgrade) Accept() error { return u.decide(accepted, refusal{}) }

// Refuse answers the request with a status of 400 to 599 and a text, and ends the connection. It is
// an error where there is a decision already.
func (u *Upgrade) Refuse(status int, text string) error {
	if status < 400 || status > 599 {
		return fmt.Errorf("websocket: a refusal has a status of 400 to 599, not %d", status)
	}
	return u.decide(refused, refusal{status, text})
}

// errDecided is returned for what comes after the decision.
var errDecided = errors.New("websocket: the handshake is decided already")

// decided tells whether there is a decision: nothing of the answer changes any more. The lock is
// held.
func (u *Upgrade) decided() bool { return u.decision == accepted || u.decision == refused }

// settled is the decision when OnUpgrade has returned: without one the connection is accepted.
func (u *Upgrade) settled() decision {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.decision == undecided {
		u.decision = accepted
	}
	return u.decision
}

// decide notes the decision, and brings it to the loop if the request waits.
func (u *Upgrade) decide(d decision, r refusal) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.decided() {
		return errDecided
	}
	u.decision, u.refusal = d, r
	if u.ticket != nil && !u.ticket.Answer(u) {
		return ErrBusy // and its deadline ends the handshake
	}
	return nil
}

// parked tells the Upgrade where its answer goes. If it has come already, it is brought now.
func (u *Upgrade) parked(t edge.Ticket) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.ticket = &t
	if u.decision != waits {
		t.Answer(u) // refused only by a loop that stops
	}
}
