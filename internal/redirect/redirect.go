// Package redirect is the port for plain HTTP beside one that speaks TLS. It sends every request to
// https: on the same host and path, and lets an ACME authority check its challenges.
//
// It keeps nothing: each connection carries one request, within a few seconds and a bounded number
// of connections. A flood costs the oldest connections that have not sent a request.
package redirect

import (
	"context"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"c100k/internal/admin"
)

const (
	// headTimeout bounds the time to the end of a request's head, and answerTimeout that to the end
	// of the answer. Without them a stalled client keeps a goroutine.
	headTimeout   = 5 * time.Second
	answerTimeout = 10 * time.Second

	// headBytesMax bounds a request's head, in bytes; net/http adds 4 KiB of its own.
	headBytesMax = 8 << 10

	// locationBytesMax bounds the answer's Location, in bytes: a client that could send so much has
	// sent a path that no server takes.
	locationBytesMax = 8 << 10

	portHTTP, portHTTPS = 80, 443
)

// Options are where requests are sent.
type Options struct {
	To   net.Addr // the public port, which speaks TLS
	Here net.Addr // where this port listens
	// Challenges puts the answers to ACME challenges in front of a handler. Nil: there are none.
	Challenges func(http.Handler) http.Handler
}

// Listen opens the port: plain TCP, for a multipath socket costs more.
func Listen(addr string) (net.Listener, error) {
	var lc net.ListenConfig
	lc.SetMultipathTCP(false)
	return lc.Listen(context.Background(), "tcp", addr)
}

// Server is a server for a listener of Listen. End it with admin.Close.
func Server(o Options) *http.Server {
	var h http.Handler = handler{to: port(o.To, portHTTPS), here: port(o.Here, portHTTP)}
	if o.Challenges != nil {
		h = o.Challenges(h)
	}
	s := admin.Server(h)
	s.ReadHeaderTimeout, s.ReadTimeout, s.WriteTimeout, s.MaxHeaderBytes = headTimeout, headTimeout, answerTimeout, headBytesMax
	s.SetKeepAlivesEnabled(false)
	return s
}

// port is the port of a TCP address, and otherwise for any other.
func port(addr net.Addr, otherwise int) int {
	if tcp, ok := addr.(*net.TCPAddr); ok {
		return tcp.Port
	}
	return otherwise
}

// handler redirects.
type handler struct{ to, here int }

// ServeHTTP implements http.Handler.
func (h handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	target := r.URL.RequestURI()
	host := h.host(r.Host)
	if host == "" || !strings.HasPrefix(target, "/") || len(target) > locationBytesMax {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.WriteHeader(http.StatusBadRequest)
		_, _ = w.Write([]byte("This port only leads to https:, and this request does not say where to: it needs a Host and a path.\n"))
		return
	}
	// RFC 9110, 15.4.9: 308 keeps the method and the body.
	w.Header().Set("Location", "https://"+host+target)
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(http.StatusPermanentRedirect)
	_, _ = w.Write([]byte("This address is served over https: only.\n"))
}

// host is the host of the new address, with a port where that is not 443; empty: there is none.
//
// A client that has come to the port on which we listen is on the network on which our other port
// is, too. One that has come to another port (80 as a rule, which somebody maps to ours) has the
// public port mapped to 443 as a rule.
func (h handler) host(given string) string {
	name, text, err := net.SplitHostPort(given)
	asked := portHTTP
	if err != nil {
		name = strings.TrimSuffix(strings.TrimPrefix(given, "["), "]")
	} else if asked, err = strconv.Atoi(text); err != nil || asked < 1 || asked > 65535 {
		return ""
	}
	if !plausible(name) {
		return ""
	}
	if strings.Contains(name, ":") {
		name = "[" + name + "]"
	}
	if asked == portHTTP && h.here != portHTTP || h.to == portHTTPS {
		return name
	}
	return name + ":" + strconv.Itoa(h.to)
}

// plausible takes what can be a host name or an address: nothing that would begin another part of
// a URL.
func plausible(name string) bool {
	if name == "" || len(name) > 253 {
		return false
	}
	for i := range len(name) {
		c := name[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '.' || c == '_' || c == ':' {
			continue
		}
		return false
	}
	return true
}
