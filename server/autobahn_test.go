// The cases 13.1 to 13.7 of the Autobahn test suite, played against /echo: permessage-deflate with
// all that a client can ask of the server's side of it.

package server

import (
	"bytes"
	"fmt"
	"net"
	"strings"
	"testing"

	"c100k/frame"

	"github.com/gobwas/httphead"
	"github.com/gobwas/ws"
)

// autobahnSizes are the cases of each group: the size of a message, and that of its fragments, 0
// for one frame. The suite sends 1,000 messages a case; we send as many as autobahnBytes allow.
var autobahnSizes = [][2]int{
	{16, 0}, {64, 0}, {256, 0}, {1024, 0}, {4096, 0}, {8192, 0}, {16384, 0}, {32768, 0}, {65536, 0}, {131072, 0},
	{8192, 256}, {16384, 256}, {32768, 256}, {65536, 256}, {131072, 256}, {131072, 1024}, {131072, 4096}, {131072, 32768},
}

const autobahnBytes = 1 << 20

// autobahnGroups are the offers of the groups, in the order of the client's preference.
var autobahnGroups = []struct {
	name   string
	offers []string
	window frame.Window
}{
	{"13.1", []string{""}, frame.WindowFull},
	{"13.2", []string{"server_no_context_takeover"}, frame.WindowFull},
	{"13.3", []string{"server_max_window_bits=9"}, frame.WindowNarrow},
	{"13.4", []string{"server_max_window_bits=15"}, frame.WindowFull},
	{"13.5", []string{"server_no_context_takeover; server_max_window_bits=9"}, frame.WindowNarrow},
	{"13.6", []string{"server_no_context_takeover; server_max_window_bits=15"}, frame.WindowFull},
	{"13.7", []string{"server_no_context_takeover; server_max_window_bits=9", "server_no_context_takeover", ""}, frame.WindowNarrow},
}

func TestAutobahn13(t *testing.T) {
	s := start(t, Config{DemoEndpoints: true, Compress: true, MaxMessage: 1 << 20, Loops: 1})
	for _, g := range autobahnGroups {
		played := 0
		for i, size := range autobahnSizes {
			sent, messages, wire := playAutobahn(t, s.Addr().String(), g.offers, g.window, size[0], size[1])
			t.Logf("%s.%d: %d messages of %d bytes, fragments of %d: echoed in %.3f of their size", g.name, i+1, messages, size[0], size[1],
				float64(wire)/float64(sent))
			played++
		}
		t.Logf("%s: %d of %d cases passed", g.name, played, len(autobahnSizes))
	}
}

// playAutobahn plays one case.
func playAutobahn(t *testing.T, address string, offers []string, window frame.Window, size, fragment int) (sent, messages, wire int) {
	t.Helper()
	c, wanted := dialDeflate(t, address, offers)
	if want := strings.Contains(offers[0], "bits="); want != strings.Contains(wanted, "server_max_window_bits=") {
		t.Fatalf("offers %q: the answer is %q", offers, wanted)
	}
	messages = min(1000, max(1, autobahnBytes/size))
	text := autobahnText(size)
	want := frame.AppendCompressed(nil, text, window)
	done := make(chan error, 1)
	go func() {
		for range messages {
			if _, err := c.Write(compressedMessage(text, fragment)); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	var r frame.Reader
	options := frame.Options{Client: true, Deflate: true, MessageBytesMax: 1 << 20}
	buffer, input := make([]byte, 256<<10), []byte(nil)
	for got := 0; got < messages; {
		m, rest, err := r.Next(&options, input)
		switch {
		case err != nil:
			t.Fatalf("offers %q, %d bytes: %v", offers, size, err)
		case m.Complete && (m.Op != frame.OpText || !bytes.Equal(m.Payload, text)):
			t.Fatalf("offers %q: message %d of %d bytes comes back as %d", offers, got, size, len(m.Payload))
		case m.Complete && m.Compressed != (size >= 256 && len(want) < size):
			t.Fatalf("offers %q: compressed %v, %d bytes", offers, m.Compressed, size)
		case m.Complete:
			got++
			input = rest
			continue
		}
		n, err := c.Read(buffer)
		if err != nil {
			t.Fatalf("offers %q: after %d messages of %d bytes: %v", offers, got, size, err)
		}
		wire += n
		input = buffer[:n]
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	return messages * size, messages, wire
}

// dialDeflate opens /echo with those offers, and returns the server's answer to them.
func dialDeflate(t *testing.T, address string, offers []string) (net.Conn, string) {
	t.Helper()
	d := ws.Dialer{Timeout: patience}
	for _, o := range offers {
		offer := strings.TrimSuffix("permessage-deflate; client_max_window_bits; "+o, "; ")
		list, ok := httphead.ParseOptions([]byte(offer), nil)
		if !ok {
			t.Fatalf("offer %q", o)
		}
		d.Extensions = append(d.Extensions, list...)
	}
	c, early, shake, err := d.Dial(t.Context(), "ws://"+address+"/echo")
	if err != nil {
		t.Fatal(err)
	}
	if early != nil {
		t.Fatal("the server has said something before it was asked")
	}
	t.Cleanup(func() { c.Close() })
	var answer bytes.Buffer
	if _, err := httphead.WriteOptions(&answer, shake.Extensions); err != nil {
		t.Fatal(err)
	}
	return c, answer.String()
}

// autobahnText is JSON of that size that repeats like that of the suite.
func autobahnText(size int) []byte {
	var b bytes.Buffer
	for i := 0; b.Len() < size; i++ {
		fmt.Fprintf(&b, `{"AutobahnPython":{"case":%d,"agent":"c100k","behavior":"OK","remoteCloseCode":1000},"duration":%d},`, i, i*i%977)
	}
	return b.Bytes()[:size]
}

// compressedMessage is one message as a client sends it.
func compressedMessage(text []byte, fragment int) (p []byte) {
	payload := frame.AppendCompressed(nil, text, frame.WindowFull)
	if fragment == 0 {
		fragment = len(payload)
	}
	for op, at := frame.OpText, 0; at < len(payload); op = frame.OpContinuation {
		n := min(fragment, len(payload)-at)
		from := len(p)
		p = frame.AppendMasked(p, op, at+n == len(payload), [4]byte{1, 2, 3, 4}, payload[at:at+n])
		if at == 0 {
			p[from] |= 0x40
		}
		at += n
	}
	return p
}
