// The facts of the request that opened a connection: header, URL, address, time.

package socketio

import (
	"net/netip"
	"strings"
	"unique"

	"c100k/internal/engineio"
)

// facts are what is kept of the request that opened a connection, as long as the connection exists.
// What many clients have in common is kept once for all of them, so that facts cost an idle client
// 48 bytes.
type facts struct {
	common  unique.Handle[sharedFacts]
	own     string   // header lines that differ from client to client
	address [16]byte // zeros if it is not known
	time    int64    // Unix milliseconds
}

// sharedFacts is the part of a request that is the same for browsers of one kind on one page.
type sharedFacts struct {
	headers string // lines "name: value", names in lower case
	url     string
	subject string // of the client's certificate; few have one
	flags   factFlags
}

type factFlags uint8

const (
	factSecure factFlags = 1 << iota
	factCrossOrigin
	factV3
)

// perClientFields are header fields whose values differ from client to client.
var perClientFields = map[string]bool{
	"authorization": true, "cookie": true, "forwarded": true, "x-forwarded-for": true, "x-real-ip": true, "x-request-id": true,
}

// droppedFields are header fields of the transport, which are not kept.
var droppedFields = map[string]bool{"sec-websocket-key": true, "connection": true, "upgrade": true, "content-length": true}

// factsReader makes facts. It keeps the last sharedFacts, because most clients have the same as the
// one before; then only what is kept is allocated. Loop only.
type factsReader struct {
	last   sharedFacts
	handle unique.Handle[sharedFacts] // of last

	// Buffers of one call, which the next call uses again. The size of a request's head bounds them.
	name, common, own, url []byte
}

// facts returns the facts of a request.
func (g *factsReader) facts(r *engineio.Request) *facts {
	g.common, g.own = g.common[:0], g.own[:0]
	r.EachHeader(g.field)
	var flags factFlags
	if r.Secure() {
		flags |= factSecure
	}
	if r.CrossOrigin() {
		flags |= factCrossOrigin
	}
	if r.Version == 3 {
		flags |= factV3
	}
	g.url = r.AppendURL(g.url[:0])
	subject := r.ClientSubject()
	if g.last.headers != string(g.common) || g.last.url != string(g.url) || g.last.subject != subject || g.last.flags != flags {
		g.last = sharedFacts{string(g.common), withoutCacheBuster(string(g.url)), subject, flags}
		g.handle = unique.Make(g.last)
	}
	return &facts{common: g.handle, own: string(g.own), address: r.Address.As16(), time: r.Time.UnixMilli()}
}

// field adds one header field.
func (g *factsReader) field(name, value []byte) {
	g.name = append(g.name[:0], name...)
	for i, c := range g.name {
		if 'A' <= c && c <= 'Z' {
			g.name[i] = c + 'a' - 'A'
		}
	}
	lines := &g.common
	switch {
	case droppedFields[string(g.name)]:
		return
	case perClientFields[string(g.name)]:
		lines = &g.own
	}
	*lines = append(append(*lines, g.name...), ": "...)
	*lines = append(append(*lines, value...), '\n')
}

// withoutCacheBuster removes the parameter t from a request's target. Clients make it different
// each time to defeat caches.
func withoutCacheBuster(target string) string {
	path, query, _ := strings.Cut(target, "?")
	if !strings.HasPrefix(query, "t=") && !strings.Contains(query, "&t=") {
		return target
	}
	kept := make([]string, 0, 4)
	for _, param := range strings.Split(query, "&") {
		if !strings.HasPrefix(param, "t=") {
			kept = append(kept, param)
		}
	}
	return path + "?" + strings.Join(kept, "&")
}

// addr returns the client's address; invalid if it is not known.
func (f *facts) addr() netip.Addr {
	if f.address == [16]byte{} {
		return netip.Addr{}
	}
	return netip.AddrFrom16(f.address).Unmap()
}
