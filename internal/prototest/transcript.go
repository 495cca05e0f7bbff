// Transcripts: the files in testdata that read like a record of a conversation.

package prototest

import (
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"c100k/frame"
	"c100k/netpoll"
	"c100k/netpoll/netpolltest"
)

// mask is the clients' masking key; any will do.
var mask = [4]byte{0x37, 0xfa, 0x21, 0x3d}

// Cast is what a transcript needs of a test.
type Cast struct {
	Node *Node

	// Role is the clients' first role.
	Role netpoll.Role

	// Open does what the upgrade would do; args are the words behind "open NAME".
	Open func(l *netpoll.Loop, c *netpoll.Conn, args []string)

	// Do performs a line that begins with a word of the protocol's own; nil, or false, for none.
	Do func(word, rest string, client func(name string) *netpolltest.Peer) bool

	// Frame makes the bytes of a FRAME whose first word is the protocol's own; nil, or a nil result,
	// for none.
	Frame func(word, rest string) []byte
}

// Run plays each transcript that matches the pattern, with a cast of its own.
//
//	# prose
//	open NAME ARGS…         a client connects, and is opened with ARGS
//	NAME> FRAME             the client sends a frame; several lines on end arrive in one read
//	NAME< FRAME             the client must have got this, and behind the last such line nothing more
//	NAME eof                the client closes its side
//	NAME gone REASON        the connection must have ended, for that reason, "-" for any
//	NAME finished           the server must have closed its side
//	skip NAME               what the client has got so far does not matter
//	advance DURATION        time passes
//
// A FRAME is one of
//
//	text PAYLOAD      binary HEX      ping TEXT      pong TEXT      close [CODE [REASON]]
//	frame FIRST TEXT  with FIRST the first byte of the header in hex: fragments
//	hex HEX           bytes as they are            raw "STRING"     the same, as a Go string
//	line TEXT         TEXT and LF                  crlf TEXT        TEXT and CR LF
//	WORD ANYTHING     whatever the cast makes of it
//
// where PAYLOAD is the rest of the line, or a Go string if it begins with a quote that ends the
// line.
func Run(t *testing.T, pattern string, cast func(t *testing.T) Cast) {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("no transcript matches %s (%v)", pattern, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			p := &play{t: t, cast: cast(t), file: file, clients: map[string]*client{}}
			for i, line := range strings.Split(string(text), "\n") {
				p.line = i + 1
				if line = strings.TrimRight(line, " \t"); line != "" && line[0] != '#' {
					p.perform(line)
				}
			}
			p.settle()
			p.checkSilent()
		})
	}
}

type client struct {
	*netpolltest.Peer
	got []byte
}

type play struct {
	t       *testing.T
	cast    Cast
	file    string
	line    int
	clients map[string]*client
	order   []string
	sent    bool // something is on its way
}

func (p *play) fatalf(format string, args ...any) {
	p.t.Helper()
	p.t.Fatalf("%s:%d: %s", p.file, p.line, fmt.Sprintf(format, args...))
}

func (p *play) perform(line string) {
	word, rest, _ := strings.Cut(line, " ")
	switch {
	case strings.HasSuffix(word, ">"):
		if !p.sent {
			p.checkSilent()
		}
		p.client(word[:len(word)-1]).Write(p.frame(rest, true))
		p.sent = true
		return
	case strings.HasSuffix(word, "<"):
		p.settle()
		p.expect(p.client(word[:len(word)-1]), p.frame(rest, false))
		return
	}
	p.settle()
	switch {
	case word == "skip":
		p.client(rest).got = nil
	case word == "open":
		p.checkSilent()
		p.open(strings.Fields(rest))
	case word == "advance":
		p.checkSilent()
		d, err := time.ParseDuration(rest)
		if err != nil {
			p.fatalf("%v", err)
		}
		p.cast.Node.Advance(d)
		p.collect()
	case p.cast.Do != nil && p.cast.Do(word, rest, func(name string) *netpolltest.Peer { return p.client(name).Peer }):
		p.cast.Node.Settle()
		p.collect()
	default:
		p.state(p.client(word), strings.Fields(rest))
	}
}

func (p *play) client(name string) *client {
	c := p.clients[name]
	if c == nil {
		p.fatalf("nobody is called %q", name)
	}
	return c
}

func (p *play) open(words []string) {
	c := &client{Peer: p.cast.Node.Connect(p.cast.Role)}
	p.cast.Node.Do(c.Peer, func(l *netpoll.Loop, nc *netpoll.Conn) { p.cast.Open(l, nc, words[1:]) })
	p.clients[words[0]] = c
	p.order = append(p.order, words[0])
	p.collect()
}

func (p *play) state(c *client, words []string) {
	switch {
	case len(words) == 1 && words[0] == "eof":
		c.CloseWrite()
		p.cast.Node.Settle()
		p.collect()
	case len(words) == 1 && words[0] == "finished":
		if !c.Finished() {
			p.fatalf("the server has not closed its side")
		}
	case len(words) == 2 && words[0] == "gone":
		reasons := p.cast.Node.Reasons
		if !c.Closed() {
			p.fatalf("the connection is still there")
		}
		if last := reasons[len(reasons)-1].String(); words[1] != "-" && last != words[1] {
			p.fatalf("the connection ended for %s, want %s", last, words[1])
		}
	default:
		p.fatalf("what is %q?", words)
	}
}

// settle lets what was sent take its course.
func (p *play) settle() {
	if p.sent {
		p.sent = false
		p.cast.Node.Settle()
		p.collect()
	}
}

func (p *play) collect() {
	for _, c := range p.clients {
		c.got = append(c.got, c.Read()...)
	}
}

func (p *play) expect(c *client, want []byte) {
	p.t.Helper()
	n := min(len(want), len(c.got))
	if string(c.got[:n]) != string(want) {
		p.fatalf("\nwant %q\n got %q", want, c.got)
	}
	c.got = c.got[n:]
}

// checkSilent fails if a client got something that the transcript does not mention.
func (p *play) checkSilent() {
	p.t.Helper()
	for _, name := range p.order {
		if got := p.clients[name].got; len(got) > 0 {
			p.fatalf("%s got, unexpected: %q", name, got)
		}
	}
}

var opcodes = map[string]frame.OpCode{
	"text": frame.OpText, "binary": frame.OpBinary, "ping": frame.OpPing, "pong": frame.OpPong, "close": frame.OpClose,
}

// frame makes the bytes of a frame, masked if a client sends it.
func (p *play) frame(words string, masked bool) []byte {
	kind, rest, _ := strings.Cut(words, " ")
	payload := []byte(p.unquote(rest))
	first := byte(0x80) | byte(opcodes[kind])
	switch kind {
	case "text", "ping", "pong":
	case "binary":
		payload = p.hex(rest)
	case "close":
		payload = p.closeBody(rest)
	case "frame":
		h, text, _ := strings.Cut(rest, " ")
		first, payload = p.hex(h)[0], []byte(p.unquote(text))
	case "hex":
		return p.hex(rest)
	case "raw":
		return payload
	case "line":
		return append(payload, '\n')
	case "crlf":
		return append(payload, "\r\n"...)
	default:
		var b []byte
		if p.cast.Frame != nil {
			b = p.cast.Frame(kind, rest)
		}
		if b == nil {
			p.fatalf("what is %q?", words)
		}
		return b
	}
	if masked {
		b := frame.AppendMasked(nil, frame.OpText, true, mask, payload)
		b[0] = first
		return b
	}
	b := frame.AppendFrame(nil, frame.OpText, payload)
	b[0] = first
	return b
}

func (p *play) closeBody(rest string) []byte {
	code, reason, _ := strings.Cut(rest, " ")
	if code == "" {
		return nil
	}
	n, err := strconv.ParseUint(code, 10, 16)
	if err != nil {
		p.fatalf("%v", err)
	}
	return append([]byte{byte(n >> 8), byte(n)}, p.unquote(reason)...)
}

func (p *play) unquote(s string) string {
	if strings.HasPrefix(s, `"`) {
		if u, err := strconv.Unquote(s); err == nil {
			return u
		}
	}
	return s
}

func (p *play) hex(s string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		p.fatalf("%v", err)
	}
	return b
}

// Word takes the first word of s: what stands before a space, or a Go string if s begins with one.
func Word(s string) (word, rest string) {
	if q, err := strconv.QuotedPrefix(s); err == nil {
		word, _ = strconv.Unquote(q)
		return word, strings.TrimPrefix(s[len(q):], " ")
	}
	word, rest, _ = strings.Cut(s, " ")
	return word, rest
}

// Int reads a number of a transcript.
func Int(t testing.TB, s string) int {
	t.Helper()
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
