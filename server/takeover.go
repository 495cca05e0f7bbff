// Requests for our streams that net/http has parsed: on a kept-alive connection behind an ordinary request, or in somebody
// else's server. The socket comes back to a loop, with its head as if it had just arrived.

package server

import (
	"bytes"
	"errors"
	"net/http"
	"net/netip"
	"sort"

	"c100k/internal/edge"
	"c100k/netpoll"

	"golang.org/x/sys/unix"
)

// Handler serves the node's streams (/ws, /sse, and the demo endpoints if they are on) in another http.Server or ServeMux; for
// other paths it answers 404. It takes the socket over from net/http: from then on the connection costs no goroutine. That needs
// HTTP/1.1 without TLS; other connections get 505 or 501. The node's loops serve it whether or not Serve was called.
func (s *Server) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !s.ours(r.URL.EscapedPath()) {
			http.NotFound(w, r)
			return
		}
		s.takeOver(w, r)
	})
}

// takeOver moves a request's connection to a loop.
func (s *Server) takeOver(w http.ResponseWriter, r *http.Request) {
	head, refusal := headOf(r)
	switch {
	case refusal != nil:
	case r.TLS != nil:
		refusal = edge.RefuseNoSocket // the bytes on the socket are net/http's to encrypt
	case s.draining.Load() && !isEventSource(r.URL.Path, r.Header.Get("Accept")):
		refusal = edge.RefuseDraining
	}
	if refusal != nil {
		s.refused(refusal)
		refusal.ServeHTTP(w, r)
		return
	}
	taken, err := edge.TakeOver(w)
	if err != nil {
		s.refused(edge.RefuseNoSocket)
		if errors.Is(err, http.ErrNotSupported) {
			edge.RefuseNoSocket.ServeHTTP(w, r) // it is still net/http's; otherwise TakeOver has said it
		}
		return
	}
	tag, ok := taken.Tag, true
	if !taken.Admitted {
		peer, _ := netip.ParseAddrPort(r.RemoteAddr)
		tag, ok = s.admission.AdmitRequest(peer.Addr())
	}
	if !ok {
		// Beyond what may be told in turn: as much as the socket takes, without waiting.
		_, _ = unix.Write(taken.FD, edge.AppendRefusal(nil, edge.RefuseOverCapacity, true))
		unix.Close(taken.FD)
		return
	}
	s.adopt(taken.FD, tag, append(head, taken.First...))
}

// adopt gives a socket to the loop with the fewest connections.
func (s *Server) adopt(fd int, tag uint32, first []byte) {
	least := s.reactors[0].loop.Remote()
	for _, r := range s.reactors[1:] {
		if remote := r.loop.Remote(); remote.Load() < least.Load() {
			least = remote
		}
	}
	if !least.Post(func(l *netpoll.Loop) { l.Adopt(fd, roleHead, tag, first) }) {
		unix.Close(fd)
		s.admission.Release(tag)
	}
}

// headOf writes a parsed request's head again. It has passed net/http, and will pass our own parser on the loop: what that one
// does not like is answered there.
func headOf(r *http.Request) ([]byte, *edge.Refusal) {
	if r.ProtoMajor != 1 {
		return nil, refuseHTTP2
	}
	var b bytes.Buffer
	b.WriteString(r.Method + " " + r.URL.RequestURI() + " " + r.Proto + "\r\nHost: " + r.Host + "\r\n")
	names := make([]string, 0, len(r.Header))
	for name := range r.Header {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		for _, value := range r.Header[name] {
			b.WriteString(name + ": " + value + "\r\n")
		}
	}
	if r.ContentLength > 0 || len(r.TransferEncoding) > 0 {
		return nil, refuseBody
	}
	b.WriteString("\r\n")
	return b.Bytes(), nil
}
