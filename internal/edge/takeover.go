// TakeOver and TakeRequest: the way of a connection from net/http back to a loop.

package edge

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"sort"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"c100k/netpoll"
)

// Taken is a socket taken over from net/http. FD is non-blocking and closed on exec; the caller
// closes it.
type Taken struct {
	FD    int
	Moved *netpoll.Moved // of a connection with a layer; nil for a plain one
	First []byte         // read from the socket, and no request's: goes to the new role
	Tag   uint32         // what Admission gave, if Admitted; it is the caller's to release

	// Admitted tells whether the connection came through a Listener. If not, it comes from another
	// listener, was not counted, and has no tag.
	Admitted bool
}

// TakeOver takes the socket of a request away from net/http, inside its handler. If the
// ResponseWriter cannot be hijacked, as with HTTP/2, it fails with http.ErrNotSupported, and the
// handler must answer. If the hijacked connection has no socket of its own (TLS by net/http, a
// net.Conn that wraps another), it fails after it has sent RefuseNoSocket and closed the
// connection.
func TakeOver(w http.ResponseWriter) (Taken, error) {
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return Taken{}, fmt.Errorf("edge: take over: %w", err)
	}
	held, err := rw.Reader.Peek(rw.Reader.Buffered())
	if err == nil {
		var taken Taken
		if taken, err = take(conn); err == nil {
			taken.First = append(held[:len(held):len(held)], taken.First...)
			return taken, nil
		}
	}
	// An error means that the peer does not read the answer; nothing else can be done.
	_ = conn.SetWriteDeadline(time.Now().Add(refusalLinger))
	_, _ = conn.Write(AppendRefusal(nil, RefuseNoSocket, true))
	conn.Close()
	return Taken{}, fmt.Errorf("edge: take over: %w", err)
}

// take extracts the socket from a hijacked connection.
func take(conn net.Conn) (Taken, error) {
	if c, ok := ConnOf(conn); ok {
		return c.Take()
	}
	fd, err := duplicate(conn)
	if err != nil {
		return Taken{}, err
	}
	return Taken{FD: fd}, conn.Close()
}

// Take ends the Conn but not the connection: First of the result is what was read from it and not
// delivered. From now on the caller releases the tag. It is for a handler that has hijacked the
// connection; no Read may be running.
func (c *Conn) Take() (Taken, error) {
	c.Hijacked()
	t := Taken{Tag: c.tag, Admitted: true, First: c.buf[c.early:]}
	socket := c.Conn
	if c.layered != nil {
		from, plain, moved, err := c.layered.Leave()
		if err != nil {
			return Taken{}, err
		}
		socket, t.Moved, t.First = from, moved, append(t.First[:len(t.First):len(t.First)], plain...)
	}
	var err error
	if t.FD, err = duplicate(socket); err != nil {
		return Taken{}, err
	}
	if !c.ended.CompareAndSwap(false, true) {
		unix.Close(t.FD)
		return Taken{}, net.ErrClosed
	}
	c.buf, c.store, c.early = nil, nil, 0
	// The duplicate keeps the connection open, also if this fails.
	_ = socket.Close()
	return t, nil
}

// duplicate makes a second descriptor of the socket, closed on exec and, like the first,
// non-blocking.
func duplicate(conn net.Conn) (fd int, err error) {
	sc, ok := conn.(syscall.Conn)
	if !ok {
		return -1, fmt.Errorf("a %T has no descriptor of its own", conn)
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return -1, err
	}
	var dupErr error
	err = raw.Control(func(of uintptr) {
		fd, dupErr = unix.FcntlInt(of, unix.F_DUPFD_CLOEXEC, 0)
	})
	if err == nil {
		err = os.NewSyscallError("fcntl", dupErr)
	}
	if err != nil {
		return -1, err
	}
	return fd, nil
}

// RefuseHTTP2 is the answer to a request for a stream over another version than 1.
var RefuseHTTP2 = &Refusal{Status: 505, Label: "bad_handshake", Reason: "streams are served over HTTP/1.1"}

// TakeRequest takes the socket of a request away from net/http, inside its handler, so that a loop
// serves the request: the loop adopts the result in the head role, with First as if the request had
// just arrived. If the connection did not come through a Listener, a admits it. ok false: the
// request was refused, and answered if that was possible; refused, which may be nil, was called.
func TakeRequest(w http.ResponseWriter, r *http.Request, a *Admission, refused func(*Refusal)) (taken Taken, ok bool) {
	if refused == nil {
		refused = func(*Refusal) {}
	}
	head, refusal := headOf(r)
	if refusal == nil && !takesOver(r) {
		refusal = RefuseNoSocket // the bytes on the socket are net/http's to encrypt
	}
	if refusal != nil {
		refused(refusal)
		refusal.ServeHTTP(w, r)
		return Taken{}, false
	}
	taken, err := TakeOver(w)
	if err != nil {
		refused(RefuseNoSocket)
		if errors.Is(err, http.ErrNotSupported) {
			RefuseNoSocket.ServeHTTP(w, r) // it is still net/http's; otherwise TakeOver has said it
		}
		return Taken{}, false
	}
	ok = true
	if !taken.Admitted {
		peer, _ := netip.ParseAddrPort(r.RemoteAddr)
		taken.Tag, ok = a.AdmitRequest(peer.Addr())
	}
	if !ok { // it was not admitted before, so it is plain
		// RefusalsMax refusals are under way: one write, without waiting for room.
		_, _ = unix.Write(taken.FD, DismissalOf(taken.Tag))
		unix.Close(taken.FD)
		return Taken{}, false
	}
	taken.First = append(head, taken.First...)
	return taken, true
}

// headOf serializes the head of a parsed request. The parser of this package checks it again on the
// loop, and refuses there what net/http has accepted and it does not. A body is still on the
// socket, as it was sent.
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

// UpgradeRequested is Head.UpgradeRequested for a request that net/http has parsed: what a loop
// finds in its head after TakeRequest. It is true as well for a head that the loop would refuse.
func UpgradeRequested(r *http.Request) bool {
	if r.Header.Get("Upgrade") == "" {
		return false
	}
	head, refusal := headOf(r)
	if refusal != nil {
		return true
	}
	var h Head
	_, refusal = ParseHead(&h, head, Limits{})
	return refusal != nil || h.UpgradeRequested()
}
