// From a request head to a protocol: what the public port does with its own paths.

package server

import (
	"bytes"
	"strings"

	"c100k/broadcast"
	"c100k/frame"
	"c100k/internal/edge"
	"c100k/internal/sse"
	"c100k/internal/topicws"
	"c100k/netpoll"
)

// subprotocol is the enveloped form's name in the handshake.
const subprotocol = "c100k.v1"

var subprotocols = []string{subprotocol}

// The refusals of our own paths, beside those of the edge.
var (
	refuseTopic     = &edge.Refusal{Status: 400, Label: "bad_topic", Reason: "a topic is 1 to 255 bytes of UTF-8 without control characters"}
	refuseNoTopic   = &edge.Refusal{Status: 400, Label: "bad_topic", Reason: "the query names no topic: ask for ?topic=NAME, or speak " + subprotocol + " to choose topics later"}
	refuseForbidden = &edge.Refusal{Status: 403, Label: "forbidden", Reason: "a topic of the query is not open to the public"}
	refuseNotGet    = &edge.Refusal{Status: 405, Label: "bad_handshake", Reason: "a stream of events is asked for with GET", Allow: "GET"}
	refuseBody      = &edge.Refusal{Status: 400, Label: "bad_handshake", Reason: "a request for a stream has no body"}
)

// headHandler is the role that every connection begins with, on r's loop.
func (s *Server) headHandler(r *reactor) netpoll.Handler {
	r.edge = &edge.Config{
		Timeout: s.cfg.HandshakeTimeout,
		Route: func(l *netpoll.Loop, c *netpoll.Conn, h *edge.Head, rest []byte) edge.Decision {
			return s.route(r, l, c, h, rest)
		},
		Fallback:  s.fallback,
		Admission: s.admission,
		Draining:  s.draining.Load,
		Refused:   s.refused,
	}
	return edge.NewHeadHandler(r.edge)
}

func (s *Server) refused(refusal *edge.Refusal) { s.rejected.add(refusal.Label) }

// ours tells whether a path is a stream of this node's.
func (s *Server) ours(path string) bool {
	switch path {
	case "/ws", "/sse":
		return true
	case "/echo", "/broadcast":
		return s.cfg.DemoEndpoints
	case sioPath:
		return s.sio != nil
	}
	return false
}

// route serves a request for one of our paths on the loop: a WebSocket or a stream of events begins on the same socket. Other
// paths go to net/http.
func (s *Server) route(r *reactor, l *netpoll.Loop, c *netpoll.Conn, h *edge.Head, rest []byte) edge.Decision {
	// A request of ours is known by its path as it stands: an escaped letter in "/ws" names another resource to nobody, and is
	// left to net/http's 404.
	if !s.ours(string(h.Path())) {
		return edge.NotOurs
	}
	if string(h.Path()) == sioPath {
		s.serveSIO(r, l, c, h, rest)
		return edge.Handled
	}
	refusal := s.judge(h)
	if refusal == nil {
		if !r.edge.AdmitClient(l, c, h) {
			return edge.Handled
		}
		switch string(h.Path()) {
		case "/ws":
			refusal = s.beginTopics(r, l, c, h, rest)
		case "/sse":
			refusal = s.beginSSE(r, l, c, h)
		default:
			refusal = s.beginDemo(r, l, c, h, rest)
		}
	}
	if refusal != nil {
		r.edge.Refuse(l, c, h, refusal)
	}
	return edge.Handled
}

// judge holds for all our paths: a node that goes down takes nobody in, and a page of another origin must have been allowed.
func (s *Server) judge(h *edge.Head) *edge.Refusal {
	accept, _ := h.Get("accept")
	if s.draining.Load() && !isEventSource(string(h.Path()), string(accept)) {
		return edge.RefuseDraining
	}
	return s.origins.Check(h)
}

// readTopics takes the topics out of the query; each must be valid and open to this client.
func (s *Server) readTopics(r *reactor, h *edge.Head) *edge.Refusal {
	var refusal *edge.Refusal
	r.topicBuf, refusal = edge.QueryValues(r.topicBuf[:0], h.Query(), "topic")
	if refusal != nil {
		return refusal
	}
	for _, topic := range r.topicBuf {
		if broadcast.ValidTopic(topic) != nil {
			return refuseTopic
		}
		if !s.maySubscribe(topic) {
			return refuseForbidden
		}
	}
	return nil
}

func (s *Server) beginTopics(r *reactor, l *netpoll.Loop, c *netpoll.Conn, h *edge.Head, rest []byte) *edge.Refusal {
	if refusal := edge.CheckUpgrade(h); refusal != nil {
		return refusal
	}
	protocol, refusal := edge.SelectProtocol(h, subprotocols)
	if refusal != nil {
		return refusal
	}
	if refusal := s.readTopics(r, h); refusal != nil {
		return refusal
	}
	p := topicws.Params{
		Bare: protocol == "", Topics: r.topicBuf,
		CanPublish: s.mayPublish(), CanSubscribe: true,
	}
	if p.Bare && len(p.Topics) == 0 {
		return refuseNoTopic // without an envelope there is no way to name one later
	}
	p.Deflate = s.switchProtocols(r, l, c, h, protocol)
	l.Become(c, roleTopics)
	r.topics.Open(l, c, p)
	l.Redeliver(c, rest)
	return nil
}

// switchProtocols answers 101, and tells whether permessage-deflate was agreed on.
func (s *Server) switchProtocols(r *reactor, l *netpoll.Loop, c *netpoll.Conn, h *edge.Head, protocol string) (deflate bool) {
	var extensions []byte
	if s.cfg.Compress {
		if offers := h.Extensions(); len(offers) > 0 {
			extensions, deflate = frame.NegotiateDeflate(offers)
		}
	}
	r.answer = edge.AppendSwitching(r.answer[:0], h.Key(), protocol, extensions)
	l.Send(c, r.answer)
	return deflate
}

func (s *Server) beginDemo(r *reactor, l *netpoll.Loop, c *netpoll.Conn, h *edge.Head, rest []byte) *edge.Refusal {
	if refusal := edge.CheckUpgrade(h); refusal != nil {
		return refusal
	}
	chat := bytes.Equal(h.Path(), []byte("/broadcast"))
	deflate := s.switchProtocols(r, l, c, h, "")
	if chat {
		l.Become(c, roleBroadcast)
		r.chat.Open(l, c, deflate)
	} else {
		l.Become(c, roleEcho)
		r.echo.Open(l, c, deflate)
	}
	l.Redeliver(c, rest)
	return nil
}

func (s *Server) beginSSE(r *reactor, l *netpoll.Loop, c *netpoll.Conn, h *edge.Head) *edge.Refusal {
	if string(h.Method()) != "GET" {
		return refuseNotGet
	}
	if h.HasBody() {
		return refuseBody
	}
	if refusal := s.readTopics(r, h); refusal != nil {
		return refusal
	}
	if len(r.topicBuf) == 0 {
		return refuseNoTopic
	}
	p := sse.Params{Topics: r.topicBuf}
	if origin, n := h.Origin(); n == 1 && !s.sameHost.Allowed(origin, h.Host()) {
		// Allowed, or judge had refused it, and another than ours: the browser wants to be told so.
		p.AllowOrigin, p.AllowCredentials = string(origin), true
	}
	l.Become(c, roleSSE)
	r.sse.Open(l, c, p)
	if s.draining.Load() {
		r.sse.Drain(l, c)
	}
	return nil
}

// isEventSource tells whether a request is that of an EventSource. For it any status but 200 is final (WHATWG HTML, 9.2.3), and it
// would never come back from a restart; so a node that goes down answers it with a stream that ends at once and says when to return.
func isEventSource(path, accept string) bool {
	return path == "/sse" && strings.Contains(accept, "text/event-stream")
}
