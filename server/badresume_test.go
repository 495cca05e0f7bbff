// What a client may say wrongly about where it was, over each transport: it is told so, by a
// refusal or a reset, and never gets what it may not have, or what another topic's position says.

package server

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

func TestBadResume(t *testing.T) {
	s := withHistory(t)
	last := publishTo(t, s, "h.a", "0").Position
	other := publishTo(t, s, "h.b", "0").Position
	refused, reset, epoch := "400", `"reason":"unknown"`, `"reason":"epoch"`
	for _, bad := range []struct{ after, command, events string }{
		{last.Epoch + ".-1", refused, reset},
		{last.Epoch + ".+1", refused, reset},
		{last.Epoch + ".01", refused, reset},
		{last.Epoch + "." + strings.Repeat("9", 30), refused, reset},
		{last.Epoch + ".18446744073709551615", reset, reset},
		{last.Epoch + ".1 ", refused, reset},
		{last.Epoch, refused, reset},
		{"." + "1", refused, reset},
		{"never.1", epoch, epoch},
		{positionText(other), epoch, epoch},
		{last.Epoch + "\r\n.1", refused, reset},
		{last.Epoch + ".1\n", refused, reset},
		{"\x00.1", refused, reset},
		{strings.Repeat("x", 7000) + ".1", refused, reset},
	} {
		query := "topic=h.a&after=" + url.QueryEscape(bad.after)
		// c100k.v1, by a command and by the query; bare.
		c := dialWS(t, s.Addr().String(), "/ws", subprotocol)
		expectAll(t, c, `{"type":"welcome","conn":"CONN"}`)
		text, _ := json.Marshal(bad.after)
		say(t, c, `{"type":"subscribe","topics":[{"topic":"h.a","after":`+string(text)+`}],"id":1}`)
		switch got := read(t, c); {
		case bad.command == refused:
			if !strings.Contains(got, `"code":"bad_request"`) {
				t.Errorf("c100k.v1, %.60q: %s", bad.after, got)
			}
		case !strings.Contains(got, `"type":"ack"`) || !strings.Contains(read(t, c), bad.command):
			t.Errorf("c100k.v1, %.60q: %s", bad.after, got)
		}
		c.Close()
		if bad.command == refused {
			if status := upgrade(t, s, "/ws?"+query); status != http.StatusBadRequest {
				t.Errorf("bare, %.60q: %d", bad.after, status)
			}
		}
		// Events: a refusal would be final to an EventSource.
		blocks, _ := events(t, s, "topic=h.a&last_event_id="+url.QueryEscape(bad.after), "", 2, nil)
		if len(blocks) != 2 || !strings.HasPrefix(blocks[1], "event: reset|id: E.1|") || !strings.Contains(blocks[1], bad.events) {
			t.Errorf("events, %.60q: %q", bad.after, blocks)
		}
		if r, body := pollOnce(t, "http://"+s.Addr().String(), query+"&wait=0"); r.StatusCode != 200 || !strings.Contains(body, `"messages":[]`) || !strings.Contains(body, bad.events) {
			t.Errorf("poll, %.60q: %d %s", bad.after, r.StatusCode, body)
		}
	}
	for _, n := range []string{"0", "-1", "+1", "1001", "1000000000", strings.Repeat("9", 30), "1e3", "0x1", " 1", ""} {
		query := "topic=h.a&last=" + url.QueryEscape(n)
		if status := upgrade(t, s, "/ws?"+query); status != http.StatusBadRequest {
			t.Errorf("bare, last=%s: %d", n, status)
		}
		if blocks, _ := events(t, s, query, "", 1, nil); !strings.HasPrefix(blocks[0], "400 ") {
			t.Errorf("events, last=%s: %q", n, blocks)
		}
		if r, body := pollOnce(t, "http://"+s.Addr().String(), query); r.StatusCode != http.StatusBadRequest {
			t.Errorf("poll, last=%s: %d %s", n, r.StatusCode, body)
		}
	}
	// A field that is folded over lines, and one that does not fit.
	for field, want := range map[string]int{
		"Last-Event-ID: a\r\n .1":                       400,
		"Last-Event-ID: a\n.1":                          400,
		"Last-Event-ID: a\r\nLast-Event-ID: b":          200, // the first is none of ours, and the stream says so
		"Last-Event-ID: " + strings.Repeat("x", 8<<10):  431,
		"Last-Event-ID: " + strings.Repeat("x", 64<<10): 431,
	} {
		c := dialHTTP(t, s.Addr().String())
		c.send("GET /sse?topic=h.a HTTP/1.1\r\nHost: localhost\r\n" + field + "\r\n\r\n")
		r, err := http.ReadResponse(c.in, nil)
		if err != nil || r.StatusCode != want {
			t.Errorf("%.40q: %v, %v", field, r, err)
		}
		c.Close()
	}
}

// TestResumeWithoutTheRight: what is kept is for those who may have it, over each transport. A
// subscription is not lost by that where a client could not ask again.
func TestResumeWithoutTheRight(t *testing.T) {
	s := start(t, Config{TokenKeys: []string{keyFile(t, tokenSecret)}, History: []string{"h.>=5,1m"}, Loops: 1})
	at := positionText(publishTo(t, s, "h.a", "secret").Position)
	epoch, _, _ := strings.Cut(at, ".")
	token := "access_token=" + mint(t, "ann", time.Hour, lists{"subscribe": []string{"h.>"}})
	base := "http://" + s.Addr().String()
	for _, query := range []string{"last=1", "rewind=1m", "after=" + epoch + ".0"} {
		if status := upgrade(t, s, "/ws?topic=h.a&"+query+"&"+token); status != http.StatusForbidden {
			t.Errorf("bare, %s: %d", query, status)
		}
		if query[0] != 'a' {
			if blocks, _ := events(t, s, "topic=h.a&"+query+"&"+token, "", 1, nil); !strings.HasPrefix(blocks[0], "403 ") {
				t.Errorf("events, %s: %q", query, blocks)
			}
		}
	}
	for _, from := range []string{`"after":"` + epoch + `.0"`, `"last":1`, `"rewind":"1m"`} {
		c := dialWS(t, s.Addr().String(), "/ws?"+token, subprotocol)
		read(t, c)
		say(t, c, `{"type":"subscribe","topics":[{"topic":"h.a",`+from+`}],"id":1}`)
		if got := read(t, c); !strings.Contains(got, `"code":"forbidden"`) {
			t.Errorf("%s: %s", from, got)
		}
	}
	blocks, _ := events(t, s, "topic=h.a&"+token, epoch+".0", 2, nil)
	if len(blocks) != 2 || !strings.Contains(blocks[1], `"reason":"unknown"`) || strings.Contains(fmt.Sprint(blocks), "secret") {
		t.Errorf("events: %q", blocks)
	}
	for _, query := range []string{"after=" + epoch + ".0", "last=1", "rewind=1m"} {
		r, body := pollOnce(t, base, "topic=h.a&wait=0&"+query+"&"+token)
		if strings.Contains(body, "secret") || r.StatusCode != 403 && !strings.Contains(body, `"reason":"unknown"`) {
			t.Errorf("poll, %s: %d %s", query, r.StatusCode, body)
		}
	}
}
