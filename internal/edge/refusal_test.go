// Tests of the answers to what is refused.

package edge

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// answer parses what was sent as the one HTTP answer on a connection.
func answer(t testing.TB, sent []byte, method string) (*http.Response, string) {
	t.Helper()
	r := bufio.NewReader(bytes.NewReader(sent))
	res, err := http.ReadResponse(r, &http.Request{Method: method})
	if err != nil {
		t.Fatalf("%q is not an answer: %v", sent, err)
	}
	body, err := io.ReadAll(res.Body)
	if err != nil || r.Buffered() > 0 {
		t.Fatalf("%q: body %q, %v, %d bytes behind it", sent, body, err, r.Buffered())
	}
	return res, string(body)
}

func TestAppendRefusal(t *testing.T) {
	for _, tt := range []struct {
		refusal *Refusal
		status  int
		fields  map[string]string
	}{
		{badLineEnd, 400, nil},
		{tooLongTarget, 414, nil},
		{tooLargeHead, 431, nil},
		{noConnect, 501, nil},
		{badVersion, 505, nil},
		{RefuseOrigin, 403, nil},
		{RefuseTimeout, 408, nil},
		{wrongMethod, 405, map[string]string{"Allow": "GET"}},
		{RefusePerAddr, 429, map[string]string{"Retry-After": "5"}},
		{RefuseOverCapacity, 503, map[string]string{"Retry-After": "5"}},
		{RefuseDraining, 503, map[string]string{"Retry-After": "1"}},
		{RefuseNotUpgrade, 426, map[string]string{"Upgrade": "websocket", "Sec-WebSocket-Version": "13"}},
		{wrongVersion, 426, map[string]string{"Upgrade": "websocket", "Sec-WebSocket-Version": "13"}},
	} {
		for _, method := range []string{"GET", "HEAD"} {
			res, body := answer(t, AppendRefusal(nil, tt.refusal, method == "GET"), method)
			checkAnswer(t, tt.refusal, res, body, tt.status, tt.fields, method)
		}
		rec := httptest.NewRecorder()
		tt.refusal.ServeHTTP(rec, nil)
		res := rec.Result()
		body, _ := io.ReadAll(res.Body)
		checkAnswer(t, tt.refusal, res, string(body), tt.status, tt.fields, "GET")
	}
}

func checkAnswer(t *testing.T, r *Refusal, res *http.Response, body string, status int, fields map[string]string, method string) {
	t.Helper()
	want := r.Reason + "\n"
	if method == "HEAD" {
		want = ""
	}
	if res.StatusCode != status || body != want || res.ContentLength != int64(len(r.Reason)+1) {
		t.Errorf("%v: %s, length %d, body %q", r, res.Status, res.ContentLength, body)
	}
	if !res.Close && !strings.Contains(res.Header.Get("Connection"), "close") {
		t.Errorf("%v: does not close", r)
	}
	if got := res.Header.Get("Content-Type"); got != "text/plain; charset=utf-8" {
		t.Errorf("%v: Content-Type %q", r, got)
	}
	for name, value := range fields {
		if got := res.Header.Get(name); got != value {
			t.Errorf("%v: %s is %q, want %q", r, name, got, value)
		}
	}
}

// RFC 9110, 7.8: a sender of Upgrade MUST also send the "Upgrade" connection option.
func TestRefusalNamesItsUpgrade(t *testing.T) {
	if got := AppendRefusal(nil, RefuseNotUpgrade, true); !bytes.Contains(got, []byte("\r\nConnection: close, Upgrade\r\n")) {
		t.Errorf("%s", got)
	}
}

func TestRefusalIsAnError(t *testing.T) {
	if got := badLineEnd.Error(); got != "400 Bad Request: a line of the request head ends in a bare LF" {
		t.Error(got)
	}
}
