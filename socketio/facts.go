// What is kept of the request that opened a connection.

package socketio

import (
	"net/netip"
	"strings"
	"unique"

	"c100k/internal/engineio"
)

// facts are what is kept of the request that opened a connection, for as long as that lives. An
// idle client is to cost little: 48 bytes, for what is the same for many clients is kept once for
// all of them.
type facts struct {
	common  unique.Handle[likeness]
	own     string   // header lines that tell one client from the next
	address [16]byte // zeros if it is not known
	time    int64    // Unix milliseconds
}

// likeness is what requests have in common: what browsers of one kind on one page say.
type likeness struct {
	headers string // lines "name: value", names in lower case
	url     string
	flags   factFlags
}

type factFlags uint8

const (
	factSecure factFlags = 1 << iota
	factCrossOrigin
)

// ownFields are the header fields whose values differ from client to client.
var ownFields = map[string]bool{
	"authorization": true, "cookie": true, "forwarded": true, "x-forwarded-for": true, "x-real-ip": true, "x-request-id": true,
}

// droppedFields are of the transport, and nobody asks for them.
var droppedFields = map[string]bool{"sec-websocket-key": true, "connection": true, "upgrade": true, "content-length": true}

// registrar makes facts. It remembers the last ones, for most clients are like the one before: then
// nothing is allocated but what is kept. Loop only.
type registrar struct {
	last   likeness
	handle unique.Handle[likeness] // of last

	// Used by one call at a time, and kept to be used again; a head has a few kilobytes at most.
	name, common, own, url []byte
}

// facts reads a request.
func (g *registrar) facts(r *engineio.Request) *facts {
	g.common, g.own = g.common[:0], g.own[:0]
	r.EachHeader(g.field)
	var flags factFlags
	if r.Secure() {
		flags |= factSecure
	}
	if r.CrossOrigin() {
		flags |= factCrossOrigin
	}
	g.url = r.AppendURL(g.url[:0])
	if g.last.headers != string(g.common) || g.last.url != string(g.url) || g.last.flags != flags {
		g.last = likeness{string(g.common), withoutCacheBuster(string(g.url)), flags}
		g.handle = unique.Make(g.last)
	}
	return &facts{common: g.handle, own: string(g.own), address: r.Address.As16(), time: r.Time.UnixMilli()}
}

// field takes one header field.
func (g *registrar) field(name, value []byte) {
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
	case ownFields[string(g.name)]:
		lines = &g.own
	}
	*lines = append(append(*lines, g.name...), ": "...)
	*lines = append(append(*lines, value...), '\n')
}

// withoutCacheBuster takes the parameter t out of a request's target, which is there to be
// different each time.
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

// addr is the client's address; invalid if it is not known.
func (f *facts) addr() netip.Addr {
	if f.address == [16]byte{} {
		return netip.Addr{}
	}
	return netip.AddrFrom16(f.address).Unmap()
}
