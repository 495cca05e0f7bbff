// Mount: a request of a program's http.Server that a loop serves, and the connection between two
// such requests.

package edge

import (
	"bytes"
	"net/http"
	"slices"
	"sort"
	"strings"

	"c100k/netpoll"
)

// ClientSubject is the subject of the certificate with which the client has proved who it is, in
// the form of RFC 4514. Empty: it has shown none, or Config.Subject is not set.
func (h *Head) ClientSubject() string { return h.subject }

// Mount is where a request comes from whose handler is mounted in a program's http.Server, and what
// the program's handlers have said before they called ours. The loop serves that one request. The
// next one on the connection goes to the handlers of From, so that each request passes them. A
// Mount is immutable; any goroutine. A nil *Mount stands for a request of a node's own port.
type Mount struct {
	from  *http.Server // nil: unknown
	lines []byte       // header fields for the answer, each with its end
	cors  bool         // Access-Control-Allow-Origin is one of them
}

// refuseMountFields answers a request whose handlers have set more header fields than a loop keeps.
var refuseMountFields = &Refusal{Status: 500, Label: "program_fields", Reason: "the handlers of this server set too many header fields"}

// NewMount makes the Mount of a request that from, which may be nil, has received. set are the
// header fields that handlers have set, which the answer gets. Names that are no tokens are left
// out, and control characters in values become spaces, as net/http does it. Fields that frame the
// answer are left out, because the answer is ours. The refusal comes beyond MountBytesMax.
func NewMount(from *http.Server, set http.Header) (*Mount, *Refusal) {
	m := &Mount{from: from}
	names := make([]string, 0, len(set))
	for name := range set {
		if isToken([]byte(name)) && !framesAnswer(name) {
			names = append(names, name)
		}
	}
	sort.Strings(names)
	for _, name := range names {
		m.cors = m.cors || strings.EqualFold(name, "Access-Control-Allow-Origin")
		for _, value := range set[name] {
			if len(m.lines)+len(name)+len(value)+len(": \r\n") > MountBytesMax {
				return nil, refuseMountFields
			}
			m.lines = append(append(m.lines, name...), ": "...)
			at := len(m.lines)
			m.lines = append(m.lines, value...)
			for i, b := range m.lines[at:] {
				if classes[b]&inText == 0 {
					m.lines[at+i] = ' '
				}
			}
			m.lines = append(m.lines[:at+len(bytes.TrimRight(m.lines[at:], " \t"))], "\r\n"...)
		}
	}
	m.lines = slices.Clip(m.lines)
	return m, nil
}

// framesAnswer tells whether a field says how the answer is sent, or what its body is.
func framesAnswer(name string) bool {
	switch strings.ToLower(name) {
	case "connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade",
		"content-length", "content-type", "content-encoding", "content-range", "date",
		"sec-websocket-accept", "sec-websocket-protocol", "sec-websocket-extensions", "sec-websocket-version":
		return true
	}
	return false
}

// Lines are the header fields that the program's handlers have set, each with its CRLF. They must
// not be changed.
func (m *Mount) Lines() []byte {
	if m == nil {
		return nil
	}
	return m.lines
}

// SetsCORS tells whether the program's handlers have said which origins may read the answer. Then
// the answer says nothing else about it: browsers refuse two values.
func (m *Mount) SetsCORS() bool { return m != nil && m.cors }

// Keeps tells whether the connection may be kept for another request.
func (m *Mount) Keeps() bool { return m == nil || m.from != nil }

// Insert adds Lines behind the status line of an answer that begins at dst[at]. It allocates only
// to grow dst.
func (m *Mount) Insert(dst []byte, at int) []byte {
	if m == nil || len(m.lines) == 0 {
		return dst
	}
	end := bytes.IndexByte(dst[at:], '\n')
	return slices.Insert(dst, at+end+1, m.lines...)
}

// Secure tells whether the client speaks TLS with this node, or with a proxy that says so in
// X-Forwarded-Proto.
func (h *Head) Secure() bool {
	proto, _ := h.Get("x-forwarded-proto")
	return h.secure || equalFold(proto, "https")
}

// Mount is where the request comes from; nil for one of the node's own port.
func (h *Head) Mount() *Mount { return h.mount }

// Adopt is Loop.Adopt in the head role for a request that has a Mount. first is its head and what
// follows.
func (s *HeadHandler) Adopt(l *netpoll.Loop, fd int, role netpoll.Role, tag uint32, m *Mount, first []byte) {
	s.arriving = m
	l.Adopt(fd, role, tag, first)
	s.arriving = nil
}

// Mount is that of the request about which Config.Route or Config.Resume decides. Loop only.
func (s *HeadHandler) Mount() *Mount { return s.head.mount }

// KeptHandler is the netpoll.Handler of connections between two requests whose handler is mounted
// in a program's http.Server. It waits for the next request without a goroutine and hands the
// connection to net/http with its first byte. One for each loop; its methods are for the loop only.
type KeptHandler struct {
	cfg  *Config
	role netpoll.Role
	kept netpoll.Slab[kept]
}

// kept is one such connection.
type kept struct {
	mount  *Mount // of the last request
	early  []byte // came before the answer in front of it was out
	putOff int    // how often the way to net/http was put off
}

// NewKeptHandler makes the handler of role on one loop.
func NewKeptHandler(cfg *Config, role netpoll.Role) *KeptHandler {
	return &KeptHandler{cfg: cfg, role: role}
}

// Keep takes a connection whose request of m is answered. early is what has arrived behind the
// request, and is copied.
func (k *KeptHandler) Keep(l *netpoll.Loop, c *netpoll.Conn, m *Mount, early []byte) {
	l.Become(c, k.role)
	if c.Closing() {
		return
	}
	i, x := k.kept.Alloc()
	x.mount = m
	c.SetSession(i)
	l.Arm(c, KeptTimeout)
	if len(early) > 0 {
		k.OnData(l, c, early)
	}
}

// OnOpen does nothing: Keep makes the record.
func (k *KeptHandler) OnOpen(*netpoll.Loop, *netpoll.Conn) {}

// OnData gets the beginning of the next request.
func (k *KeptHandler) OnData(l *netpoll.Loop, c *netpoll.Conn, p []byte) {
	x := k.kept.At(c.Session())
	if x.early = append(x.early, p...); len(x.early) >= earlyBytesMax {
		l.StopRead(c)
	}
	k.handOver(l, c)
}

// OnWritable goes on once the client has taken the answer in front of the next request.
func (k *KeptHandler) OnWritable(l *netpoll.Loop, c *netpoll.Conn) { k.handOver(l, c) }

// OnTimer ends a connection on which no request follows, or whose client does not take its answer.
func (k *KeptHandler) OnTimer(l *netpoll.Loop, c *netpoll.Conn) {
	x := k.kept.At(c.Session())
	if len(x.early) == 0 || x.putOff >= putOffMax {
		l.Close(c, netpoll.ReasonTimeout)
		return
	}
	k.handOver(l, c)
}

// OnClose frees the record.
func (k *KeptHandler) OnClose(_ *netpoll.Loop, c *netpoll.Conn, _ netpoll.Reason) {
	if i := c.Session(); i != 0 {
		k.kept.Free(i)
		c.SetSession(0)
	}
}

// handOver hands a connection with the beginning of a request to net/http. Output that is not
// written yet would be lost, so it waits for that, and for a place in the queue to net/http.
// Neither lasts, so it looks once a tick.
func (k *KeptHandler) handOver(l *netpoll.Loop, c *netpoll.Conn) {
	x := k.kept.At(c.Session())
	switch {
	case c.Closing() || len(x.early) == 0:
	case c.Pending() > 0:
		x.putOff++
		l.Arm(c, putOffTime)
	case k.cfg.Draining != nil && k.cfg.Draining():
		l.Disarm(c)
		k.cfg.Refuse(l, c, nil, RefuseDraining)
	case !k.cfg.Fallback.reserve(): // after a broadcast all clients poll at the same time
		x.putOff++
		l.Arm(c, putOffTime)
	default:
		d := delivery{first: x.early, tag: c.Tag(), origin: origin{mount: x.mount}}
		if d.fd, d.moved = l.DetachLayered(c); d.fd < 0 {
			k.cfg.Fallback.cancel()
			return
		}
		k.cfg.Fallback.put(d)
	}
}
