// A stream: a Server-Sent Events connection, read line by line.

package e2e

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// stream is a peer that has asked for events.
type stream struct {
	*peer
	header http.Header
	body   *lineReader
}

type lineReader struct{ r io.Reader }

// stream asks for events; the answer must be 200.
func (n *node) stream(t *testing.T, path string, extra ...string) *stream {
	t.Helper()
	p := dial(t, n.public)
	p.send("GET " + path + " HTTP/1.1\r\nHost: node.test\r\nAccept: text/event-stream\r\n" + lines(extra) + "\r\n")
	return p.stream()
}

func lines(extra []string) string {
	if len(extra) == 0 {
		return ""
	}
	return strings.Join(extra, "\r\n") + "\r\n"
}

// stream reads the head of an answer that is a stream of events.
func (p *peer) stream() *stream {
	p.t.Helper()
	r, err := p.answer("GET")
	if err != nil {
		p.t.Fatal(err)
	}
	if r.StatusCode != 200 || r.Header.Get("Content-Type") != "text/event-stream" || r.ContentLength >= 0 {
		body, _ := io.ReadAll(r.Body)
		p.t.Fatalf("no stream: %s %v %s", r.Status, r.Header, body)
	}
	return &stream{peer: p, header: r.Header, body: &lineReader{r.Body}}
}

// line reads up to the next LF.
func (l *lineReader) line() (string, error) {
	var line []byte
	var b [1]byte
	for {
		if _, err := io.ReadFull(l.r, b[:]); err != nil {
			return string(line), err
		}
		if b[0] == '\n' {
			return string(line), nil
		}
		line = append(line, b[0])
	}
}

// nextEvent skips comments and returns the next block of fields, as "field: value" lines.
func (s *stream) nextEvent() (block []string, err error) {
	for {
		line, err := s.body.line()
		switch {
		case err != nil:
			return block, err
		case line != "" && line[0] != ':':
			block = append(block, line)
		case line == "" && len(block) > 0:
			return block, nil
		}
	}
}

// expectEvent wants a message with one line of data. The retry field that begins a stream may stand
// in front of it.
func (s *stream) expectEvent(data string) {
	s.t.Helper()
	for {
		block, err := s.nextEvent()
		if err != nil {
			s.t.Fatalf("want event %q, got %v", data, err)
		}
		if len(block) == 1 && strings.HasPrefix(block[0], "retry: ") {
			continue
		}
		if len(block) != 3 || block[0] != "event: message" || !strings.HasPrefix(block[1], "id: ") || block[2] != "data: "+data {
			s.t.Fatalf("got %q, want data %q", block, data)
		}
		return
	}
}
