// One request and its answer on a connection that blocks: what is asked before a run, and by its
// publisher. The request, the parser and the judgement are those of the clients of a run.

package swarm

import (
	"errors"
	"math/rand/v2"
	"net"
)

// Answer is what a server said to a request.
type Answer struct {
	Status      int
	Protocol    string // the subprotocol that it selected
	ContentType string
	Raw         []byte // the whole answer as far as it was read, from its status line on
	Early       []byte // the end of Raw: what came behind the head
}

// Ask sends the request of the Spec's first client over conn, which has a deadline, and reads the
// head of the answer. refusal is why a client of a run would not take it; empty: it would. An error
// is one of the connection, or says that the answer is not HTTP. Any goroutine.
func Ask(conn net.Conn, spec *Spec) (a Answer, refusal string, err error) {
	request, err := newRequest(spec)
	if err != nil {
		return a, "", err
	}
	attempt := rand.Uint64()
	if _, err := conn.Write(request.append(nil, 0, 0, attempt)); err != nil {
		return a, "", err
	}
	var all []byte
	buffer := make([]byte, headBytesMax)
	for {
		n, readErr := conn.Read(buffer)
		all = append(all, buffer[:n]...)
		r, from, size, err := parseAnswer(all)
		switch {
		case err != nil:
			return a, "", errors.New("it does not answer with HTTP/1.1")
		case size > 0:
			return Answer{Status: r.status, Protocol: string(r.protocol), ContentType: string(r.contentType), Raw: all[from:], Early: all[size:]},
				request.judge(spec, &r, attempt), nil
		case readErr != nil:
			return a, "", readErr
		}
	}
}
