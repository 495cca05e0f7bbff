// A request that net/http has parsed, as the head that it came as: for taking its socket to a loop.

package edge

import (
	"bytes"
	"errors"
	"net/http"
	"net/netip"
	"sort"
	"strconv"

	"golang.org/x/sys/unix"
)

// RefuseHTTP2 is the answer to a request for a stream over another version than 1.
var RefuseHTTP2 = &Refusal{Status: 505, Label: "bad_handshake", Reason: "streams are served over HTTP/1.1"}

// TakeRequest takes the socket of a request away from net/http, inside its handler, for a loop to serve the request on it: adopted in the
// head role with tag and first, as if it had just arrived. The connection is admitted by a if it did not come through a Listener. ok
// false: it was refused, and answered if that was possible; refused, which may be nil, has heard of it.
func TakeRequest(w http.ResponseWriter, r *http.Request, a *Admission, refused func(*Refusal)) (fd int, tag uint32, first []byte, ok bool) {
	if refused == nil {
		refused = func(*Refusal) {}
	}
	head, refusal := headOf(r)
	if refusal == nil && r.TLS != nil {
		refusal = RefuseNoSocket // the bytes on the socket are net/http's to encrypt
	}
	if refusal != nil {
		refused(refusal)
		refusal.ServeHTTP(w, r)
		return -1, 0, nil, false
	}
	taken, err := TakeOver(w)
	if err != nil {
		refused(RefuseNoSocket)
		if errors.Is(err, http.ErrNotSupported) {
			RefuseNoSocket.ServeHTTP(w, r) // it is still net/http's; otherwise TakeOver has said it
		}
		return -1, 0, nil, false
	}
	tag, ok = taken.Tag, true
	if !taken.Admitted {
		peer, _ := netip.ParseAddrPort(r.RemoteAddr)
		tag, ok = a.AdmitRequest(peer.Addr())
	}
	if !ok {
		// Beyond what may be told in turn: as much as the socket takes, without waiting.
		_, _ = unix.Write(taken.FD, AppendRefusal(nil, RefuseOverCapacity, true))
		unix.Close(taken.FD)
		return -1, 0, nil, false
	}
	return taken.FD, tag, append(head, taken.First...), true
}

// headOf writes a parsed request's head again. It has passed net/http, and will pass our own parser on the loop: what that one
// does not like is answered there. The body, if there is one, is still on the socket as it was sent.
func headOf(r *http.Request) ([]byte, *Refusal) {
	if r.ProtoMajor != 1 {
		return nil, RefuseHTTP2
	}
	var b bytes.Buffer
	b.WriteString(r.Method + " " + r.URL.RequestURI() + " " + r.Proto + "\r\nHost: " + r.Host + "\r\n")
	names := make([]string, 0, len(r.Header))
	for name := range r.Header {
		if name != "Content-Length" && name != "Transfer-Encoding" { // as net/http has understood them
			names = append(names, name)
		}
	}
	sort.Strings(names)
	for _, name := range names {
		for _, value := range r.Header[name] {
			b.WriteString(name + ": " + value + "\r\n")
		}
	}
	switch {
	case len(r.TransferEncoding) > 0:
		b.WriteString("Transfer-Encoding: chunked\r\n")
	case r.ContentLength > 0 || r.Method == http.MethodPost:
		b.WriteString("Content-Length: " + strconv.FormatInt(r.ContentLength, 10) + "\r\n")
	}
	b.WriteString("\r\n")
	return b.Bytes(), nil
}
