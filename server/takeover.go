// Requests for our streams that net/http has parsed: on a kept-alive connection behind an ordinary request, or in somebody
// else's server. The socket comes back to a loop, with its head as if it had just arrived.

package server

import (
	"net/http"
	"strings"
	"sync/atomic"

	"c100k/internal/edge"
	"c100k/netpoll"
	"c100k/socketio"

	"golang.org/x/sys/unix"
)

// Handler serves the node's streams (/ws, /sse, /socket.io/, and the demo endpoints if they are on) in another http.Server or ServeMux; for
// other paths it answers 404. It takes the socket over from net/http: from then on the connection costs no goroutine. That needs
// HTTP/1.1 without TLS; other connections get 505 or 501. The node's loops serve it whether or not Serve was called.
func (s *Server) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case s.ours(r.URL.EscapedPath()):
			s.foreign.note(s, r)
			s.takeOver(w, r)
		case s.sio != nil && strings.HasPrefix(r.URL.Path, sioPath) && socketio.ServeClient(w, r, strings.TrimPrefix(r.URL.Path, sioPath)):
		default:
			http.NotFound(w, r)
		}
	})
}

// takeOver moves a request's connection to a loop.
func (s *Server) takeOver(w http.ResponseWriter, r *http.Request) {
	var refusal *edge.Refusal
	switch {
	case r.URL.Path == sioPath: // its clients send bodies, and it has its own way to say no
	case r.ContentLength > 0 || len(r.TransferEncoding) > 0:
		refusal = refuseBody
	case s.draining.Load() && !isEventSource(r.URL.Path, r.Header.Get("Accept")):
		refusal = edge.RefuseDraining
	}
	if refusal != nil {
		s.refused(refusal)
		refusal.ServeHTTP(w, r)
		return
	}
	if fd, tag, first, ok := edge.TakeRequest(w, r, s.admission, s.refused); ok {
		s.adopt(fd, tag, first)
	}
}

// adopt gives a socket to the loop with the fewest connections.
func (s *Server) adopt(fd int, tag uint32, first []byte) {
	least := s.reactors[0].loop.Remote()
	for _, r := range s.reactors[1:] {
		if remote := r.loop.Remote(); remote.Load() < least.Load() {
			least = remote
		}
	}
	s.adoptOn(least, roleHead, fd, tag, first)
}

// adoptOn gives a socket to a loop, in a role that begins with a request head.
func (s *Server) adoptOn(loop *netpoll.Remote, role netpoll.Role, fd int, tag uint32, first []byte) {
	if !loop.Post(func(l *netpoll.Loop) { l.Adopt(fd, role, tag, first) }) {
		unix.Close(fd)
		s.admission.Release(tag)
	}
}

// foreign is the handler of the http.Server that Handler is mounted in: a connection that was taken over for a poll stays with us, and what
// else comes on it is that server's to answer. It is asked only where the node has no public port of its own.
type foreign struct{ handler atomic.Pointer[http.Handler] }

func (f *foreign) note(s *Server, r *http.Request) {
	from, ok := r.Context().Value(http.ServerContextKey).(*http.Server)
	if !ok || from == s.http || r.URL.Path != sioPath {
		return
	}
	handler := from.Handler
	if handler == nil {
		handler = http.DefaultServeMux
	}
	f.handler.Store(&handler)
}

// or is the foreign handler, or else other.
func (f *foreign) or(s *Server, other http.Handler) http.Handler {
	if handler := f.handler.Load(); handler != nil && s.Addr() == nil {
		return *handler
	}
	return other
}
