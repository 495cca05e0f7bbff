// Refusals: an answer with a reason, then the end of the connection, and never a reset without an
// answer.

package e2e

import (
	"fmt"
	"strings"
	"testing"
)

// TestSmuggling sends heads that two parsers could read differently: RFC 9112 has one answer to
// each, and input behind it is ignored.
func TestSmuggling(t *testing.T) {
	t.Parallel()
	app := application(t)
	n := serve(t, "--dev", "--upstream", app.URL)
	behind := "GET /who HTTP/1.1\r\nHost: smuggled\r\n\r\n"
	host := "Host: node.test\r\n"
	for name, test := range map[string]struct {
		head   string
		status int
	}{
		"Content-Length and Transfer-Encoding": {"POST /body HTTP/1.1\r\n" + host + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
		"Transfer-Encoding and Content-Length": {"POST /body HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", 400},
		"two different lengths":                {"POST /body HTTP/1.1\r\n" + host + "Content-Length: 1\r\nContent-Length: 2\r\n\r\nx", 400},
		"two equal lengths":                    {"POST /body HTTP/1.1\r\n" + host + "Content-Length: 1\r\nContent-Length: 1\r\n\r\nx", 400},
		"a list of lengths":                    {"POST /body HTTP/1.1\r\n" + host + "Content-Length: 1, 1\r\n\r\nx", 400},
		"a signed length":                      {"POST /body HTTP/1.1\r\n" + host + "Content-Length: +1\r\n\r\nx", 400},
		"a negative length":                    {"POST /body HTTP/1.1\r\n" + host + "Content-Length: -1\r\n\r\nx", 400},
		"a hexadecimal length":                 {"POST /body HTTP/1.1\r\n" + host + "Content-Length: 0x1\r\n\r\nx", 400},
		"an empty length":                      {"POST /body HTTP/1.1\r\n" + host + "Content-Length:\r\n\r\n", 400},
		"a huge length":                        {"POST /body HTTP/1.1\r\n" + host + "Content-Length: 99999999999999999999\r\n\r\nx", 400},
		"chunked twice":                        {"POST /body HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", 400},
		"chunked is not last":                  {"POST /body HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n", 400},
		"another coding":                       {"POST /body HTTP/1.1\r\n" + host + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501},
		"Transfer-Encoding in HTTP/1.0":        {"POST /body HTTP/1.0\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
		"white space before the colon":         {"POST /body HTTP/1.1\r\n" + host + "Content-Length : 1\r\n\r\nx", 400},
		"obs-fold":                             {"GET /who HTTP/1.1\r\n" + host + "X: a\r\n b\r\n\r\n", 400},
		"obs-fold with a tab":                  {"GET /who HTTP/1.1\r\n" + host + "X: a\r\n\tb\r\n\r\n", 400},
		"a first field that is folded":         {"GET /who HTTP/1.1\r\n X: a\r\n" + host + "\r\n", 400},
		"bare LF":                              {"GET /who HTTP/1.1\nHost: node.test\n\n", 400},
		"one bare LF":                          {"GET /who HTTP/1.1\r\n" + host + "X: a\n\r\n", 400},
		"bare CR":                              {"GET /who HTTP/1.1\r\n" + host + "X: a\rY: b\r\n\r\n", 400},
		"NUL":                                  {"GET /who HTTP/1.1\r\n" + host + "X: a\x00b\r\n\r\n", 400},
		"no Host":                              {"GET /who HTTP/1.1\r\n\r\n", 400},
		"two Hosts":                            {"GET /who HTTP/1.1\r\n" + host + host + "\r\n", 400},
		"a bad Host":                           {"GET /who HTTP/1.1\r\nHost: a b\r\n\r\n", 400},
		"an empty field name":                  {"GET /who HTTP/1.1\r\n" + host + ": x\r\n\r\n", 400},
		"a field without a colon":              {"GET /who HTTP/1.1\r\n" + host + "nothing\r\n\r\n", 400},
		"two spaces":                           {"GET  /who HTTP/1.1\r\n" + host + "\r\n", 400},
		"a tab":                                {"GET\t/who HTTP/1.1\r\n" + host + "\r\n", 400},
		"a space in the target":                {"GET /who it HTTP/1.1\r\n" + host + "\r\n", 400},
		"a byte beyond ASCII in the target":    {"GET /wh\xc3\xb6 HTTP/1.1\r\n" + host + "\r\n", 400},
		"no version":                           {"GET /who\r\n" + host + "\r\n", 400},
		"HTTP/2":                               {"GET /who HTTP/2.0\r\n" + host + "\r\n", 505},
		"HTTP/1.2":                             {"GET /who HTTP/1.2\r\n" + host + "\r\n", 505},
		"lower-case http":                      {"GET /who http/1.1\r\n" + host + "\r\n", 400},
		"the preface of HTTP/2":                {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
		"TLS":                                  {"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400},
		"CONNECT":                              {"CONNECT node.test:80 HTTP/1.1\r\n" + host + "\r\n", 501},
		"a method that is no token":            {"G(T /who HTTP/1.1\r\n" + host + "\r\n", 400},
	} {
		t.Run(name, func(t *testing.T) {
			t.Run("first", func(t *testing.T) {
				p := dial(t, n.public)
				p.send(test.head + behind)
				p.expectRefusal(test.status)
			})
			t.Run("behind a good request", func(t *testing.T) {
				p := dial(t, n.public)
				p.send("GET /who HTTP/1.1\r\n" + host + "\r\n" + test.head + behind)
				if _, body := p.expectAnswer(200); strings.Contains(body, "smuggled") {
					t.Error(body)
				}
				p.expectRefusal(test.status)
			})
			t.Run("behind a body", func(t *testing.T) {
				p := dial(t, n.public)
				p.send("POST /body HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n" + test.head + behind)
				p.expectAnswer(200)
				p.expectRefusal(test.status)
			})
		})
	}
	// The body of one request is never the head of the next.
	p := dial(t, n.public)
	p.send(fmt.Sprintf("POST /body HTTP/1.1\r\n%sContent-Length: %d\r\n\r\n%s%s", host, len(behind), behind, "GET /who HTTP/1.1\r\n"+host+"\r\n"))
	if _, body := p.expectAnswer(200); body != fmt.Sprint(len(behind), " <nil>") {
		t.Error(body)
	}
	if _, body := p.expectAnswer(200); !strings.Contains(body, "host=node.test") {
		t.Error(body)
	}
}

func TestRefusedHandshakes(t *testing.T) {
	t.Parallel()
	n := serve(t, "--dev", "--origin", "https://good.example,*.better.example")
	base := []string{"Host: node.test", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: " + handshakeKey}
	// request replaces the lines that a test names, or leaves out those with an empty value.
	request := func(method, path, version string, change ...string) string {
		head := []string{method + " " + path + " " + version}
		for _, line := range base {
			name, _, _ := strings.Cut(line, ":")
			keep := true
			for _, c := range change {
				if with, _, _ := strings.Cut(c, ":"); strings.EqualFold(with, name) {
					keep = false
				}
			}
			if keep {
				head = append(head, line)
			}
		}
		for _, c := range change {
			if !strings.HasSuffix(c, ":") {
				head = append(head, c)
			}
		}
		return strings.Join(head, "\r\n") + "\r\n\r\n"
	}
	get := func(path string, change ...string) string { return request("GET", path, "HTTP/1.1", change...) }
	for name, test := range map[string]struct {
		request string
		status  int
		header  string // that has to be there, "Name: value"
	}{
		"no upgrade":             {get("/echo", "Connection:", "Upgrade:"), 426, "Upgrade: websocket"},
		"another protocol":       {get("/echo", "Upgrade: h2c"), 426, "Upgrade: websocket"},
		"version 8":              {get("/echo", "Sec-WebSocket-Version: 8"), 426, "Sec-Websocket-Version: 13"},
		"no version":             {get("/echo", "Sec-WebSocket-Version:"), 426, "Sec-Websocket-Version: 13"},
		"HTTP/1.0":               {request("GET", "/echo", "HTTP/1.0"), 426, "Upgrade: websocket"},
		"no key":                 {get("/echo", "Sec-WebSocket-Key:"), 400, ""},
		"a short key":            {get("/echo", "Sec-WebSocket-Key: abc"), 400, ""},
		"two keys":               {get("/echo", "Sec-WebSocket-Key: "+handshakeKey+"\r\nSec-WebSocket-Key: "+handshakeKey), 400, ""},
		"POST":                   {request("POST", "/echo", "HTTP/1.1"), 405, "Allow: GET"},
		"a body":                 {get("/echo", "Content-Length: 3"), 400, ""},
		"a bad subprotocol":      {get("/ws?topic=a", "Sec-WebSocket-Protocol: a b"), 400, ""},
		"an empty subprotocol":   {get("/ws?topic=a", "Sec-WebSocket-Protocol: ,"), 400, ""},
		"another Origin":         {get("/echo", "Origin: https://evil.example"), 403, ""},
		"the null Origin":        {get("/echo", "Origin: null"), 403, ""},
		"two Origins":            {get("/echo", "Origin: https://good.example\r\nOrigin: https://good.example"), 403, ""},
		"our own, not listed":    {get("/echo", "Origin: http://node.test"), 403, ""},
		"another Origin for SSE": {"GET /sse?topic=a HTTP/1.1\r\nHost: node.test\r\nOrigin: https://evil.example\r\n\r\n", 403, ""},
		"SSE without a topic":    {"GET /sse HTTP/1.1\r\nHost: node.test\r\n\r\n", 400, ""},
		"SSE by POST":            {"POST /sse?topic=a HTTP/1.1\r\nHost: node.test\r\nContent-Length: 0\r\n\r\n", 405, "Allow: GET"},
		"an unknown path":        {get("/nothing"), 404, ""},
		"a path with a slash":    {get("/ws/?topic=a"), 404, ""},
		"a large head":           {get("/echo", "X: "+strings.Repeat("x", 9000)), 431, ""},
		"many fields":            {get("/echo", strings.TrimSuffix(strings.Repeat("X: y\r\n", 200), "\r\n")), 431, ""},
		"a long target":          {get("/echo?" + strings.Repeat("x", 9000)), 414, ""},
		"many parameters":        {get("/ws?" + strings.Repeat("topic=a&", 300)), 400, ""},
	} {
		t.Run(name, func(t *testing.T) {
			p := dial(t, n.public)
			// What follows a refused handshake is neither a frame nor a request.
			p.send(test.request + "GET / HTTP/1.1\r\nHost: smuggled\r\n\r\n" + maskedText("hello"))
			header, _ := p.expectAnswer(test.status)
			if want, value, _ := strings.Cut(test.header, ": "); test.header != "" && header.Get(want) != value {
				t.Errorf("%v, want %s", header, test.header)
			}
			p.expectEnd()
		})
	}
	for _, origin := range []string{"https://good.example", "https://even.better.example"} {
		n.upgrade(t, "/echo", "Origin: "+origin).echo("hello")
	}
	s := n.stream(t, "/sse?topic=a", "Origin: https://good.example")
	if got := s.header.Get("Access-Control-Allow-Origin"); got != "https://good.example" {
		t.Errorf("CORS: %q", got)
	}
	s.Close()
	rejected := n.stats().Rejected
	for _, reason := range []string{"not_upgrade", "bad_handshake", "origin", "head_too_large", "bad_topic", "bad_request"} {
		if rejected[reason] == 0 {
			t.Errorf("no rejected handshake is counted for %s: %v", reason, rejected)
		}
	}
}

// TestFirstFrames: input directly behind a handshake is the first frames, however the packets are
// cut.
func TestFirstFrames(t *testing.T) {
	t.Parallel()
	n := serve(t, "--dev")
	all := upgradeRequest("/echo") + maskedText("one") + maskedText(strings.Repeat("two", 10_000)) + maskedText("three")
	for name, cut := range map[string][]int{
		"one packet": {}, "within the head": {40}, "at the end of the head": {len(upgradeRequest("/echo"))},
		"within the header of a frame": {len(upgradeRequest("/echo")) + 3}, "within a payload": {len(all) - 5}, "often": {1, 2, 3, 50, 120, 180, 190, 200, 1000, 20000},
	} {
		t.Run(name, func(t *testing.T) {
			p := dial(t, n.public)
			from := 0
			for _, to := range append(cut, len(all)) {
				p.send(all[from:to])
				from = to
			}
			if err := p.switched(); err != nil {
				t.Fatal(err)
			}
			p.expectText("one")
			p.expectText(strings.Repeat("two", 10_000))
			p.expectText("three")
		})
	}
	t.Run("a first frame for a topic", func(t *testing.T) {
		p := dial(t, n.public)
		p.send(upgradeRequest("/ws?topic=first") + maskedText("hello"))
		if err := p.switched(); err != nil {
			t.Fatal(err)
		}
		p.expectText("hello")
	})
	t.Run("a bad first frame", func(t *testing.T) {
		p := dial(t, n.public)
		p.send(upgradeRequest("/echo") + "\x81\x01a")
		if err := p.switched(); err != nil {
			t.Fatal(err)
		}
		p.expectClose(1002)
		p.expectEnd()
	})
}
