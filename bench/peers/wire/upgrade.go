// Package wire is what the three servers on gobwas/ws share: the library has the pieces of the
// protocol (handshake, header, mask), and leaves buffers and sockets to its user, which is the
// point of it.
package wire

import (
	"bytes"
	"errors"
	"io"
	"net/http"

	"github.com/gobwas/ws"
)

// headBytesMax bounds a request head.
const headBytesMax = 8 << 10

var errHeadTooLong = errors.New("request head too long")

// upgrade answers the request head at the front of p, from memory to memory, and appends the answer
// to reply. It returns the head's length: 0 when p does not hold the whole of it. A request that is
// refused has been answered too when an error comes back.
func upgrade(p, reply []byte) (n int, path string, _ []byte, err error) {
	end := bytes.Index(p, []byte("\r\n\r\n"))
	if end < 0 {
		if len(p) > headBytesMax {
			return 0, "", reply, errHeadTooLong
		}
		return 0, "", reply, nil
	}
	n = end + 4
	answer := bytes.NewBuffer(reply)
	u := ws.Upgrader{OnRequest: func(uri []byte) error {
		before, _, _ := bytes.Cut(uri, []byte("?"))
		path = string(before)
		if path != "/echo" && path != "/broadcast" {
			return ws.RejectConnectionError(ws.RejectionStatus(http.StatusNotFound))
		}
		return nil
	}}
	_, err = u.Upgrade(struct {
		io.Reader
		io.Writer
	}{bytes.NewReader(p[:n]), answer})
	return n, path, answer.Bytes(), err
}
