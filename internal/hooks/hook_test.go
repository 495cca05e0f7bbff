// Decisions: what is sent, what counts as an answer, and what happens without one.

package hooks

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fake is a backend without a network, so that its time can be faked too.
type fake func(*http.Request) (*http.Response, error)

func (f fake) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func answered(status int, body string) (*http.Response, error) {
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body))}, nil
}

// hangs answers nothing until the client has given up.
func hangs(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

// node has one hook and its backend.
type node struct {
	*Hook
	backend *Backend
	results chan string
}

func newNode(t *testing.T, opt Options, b BackendOptions) *node {
	t.Helper()
	if b.Concurrency == 0 {
		b.Concurrency = 64
	}
	b.Timeout, b.UserAgent = time.Second, "c100k/test"
	n := &node{backend: NewBackend(b), results: make(chan string, 1<<16)}
	opt.Backend = n.backend
	opt.Failed = func(_ Kind, result string, _ error) { n.results <- result }
	if opt.Kind == "" {
		opt.Kind = Connect
	}
	if opt.URL == "" {
		opt.URL = "http://backend.test/hook"
	}
	n.Hook = New(opt)
	t.Cleanup(n.close)
	return n
}

func (n *node) close() {
	n.backend.Close()
	n.Hook.Close()
}

// ask is Ask that waits.
func (n *node) ask(r *Request) Verdict {
	verdict := make(chan Verdict, 1)
	n.Ask(r, func(v Verdict) { verdict <- v })
	return <-verdict
}

func TestRequestAsDocumented(t *testing.T) {
	var body, signature, mediaType string
	secret := []byte("a secret of the backend")
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, _ := io.ReadAll(r.Body)
		body, signature, mediaType = string(p), r.Header.Get("C100K-Signature"), r.Header.Get("Content-Type")
		io.WriteString(w, `{"allow":true,"sub":"u17","expires":1796000000,"subscribe":["chat.>"],"deny":["chat.staff.>"],"info":{"name":"Ann"}}`)
	}))
	defer server.Close()
	n := newNode(t, Options{URL: server.URL}, BackendOptions{Secret: secret})
	v := n.ask(&Request{Conn: "1-2-3", Sub: "u1", Transport: "websocket", Topics: []string{"a"}, Address: "192.0.2.1",
		Headers: map[string]string{"Cookie": "sid=7"}, Forgeable: []string{"Cookie"}})
	want := `{"type":"connect","conn":"1-2-3","sub":"u1","transport":"websocket","topics":["a"],"headers":{"Cookie":"sid=7"},"forgeable":["Cookie"],"address":"192.0.2.1"}`
	if body != want {
		t.Errorf("sent %s\nwant %s", body, want)
	}
	if err := verify(secret, signature, body); err != nil {
		t.Errorf("signature %q: %v", signature, err)
	}
	if mediaType != "application/json" {
		t.Errorf("Content-Type %q", mediaType)
	}
	n.ask(&Request{Conn: "1-2-3", Transport: "sse", Address: "192.0.2.1"}) // without header fields
	if want := `{"type":"connect","conn":"1-2-3","sub":"","transport":"sse","topics":[],"headers":{},"address":"192.0.2.1"}`; body != want {
		t.Errorf("sent %s\nwant %s", body, want)
	}
	a := v.Answer
	if !v.Allow || v.Failed || a.Sub != "u17" || a.Expires.Unix() != 1796000000 || a.Lists.Subscribe[0] != "chat.>" ||
		a.Lists.Deny[0] != "chat.staff.>" || string(a.Lists.Info) != `{"name":"Ann"}` {
		t.Errorf("verdict %+v, answer %+v", v, a)
	}
}

// verify is what a backend does.
func verify(secret []byte, header, body string) error {
	stamp, text, ok := strings.Cut(header, ",v1=")
	stamp, is := strings.CutPrefix(stamp, "t=")
	if _, err := strconv.ParseInt(stamp, 10, 64); !ok || !is || err != nil {
		return errors.New("not of the form t=UNIX,v1=HEX")
	}
	given, err := hex.DecodeString(text)
	if err != nil {
		return err
	}
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(stamp + "." + body))
	if !hmac.Equal(mac.Sum(nil), given) {
		return errors.New("another signature")
	}
	return nil
}

// TestSignatureVector is one that other languages can be held against.
func TestSignatureVector(t *testing.T) {
	got := sign([]byte("secret"), time.Unix(1796000000, 0), []byte(`{"type":"connect"}`))
	if want := "t=1796000000,v1=e7a7e8c7586ed797a728ef3e6786a2ef6d5dedf8ec57ab34ea73c19592c55492"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	for _, body := range []string{`{"type":"connect"} `, ""} {
		if verify([]byte("secret"), got, body) == nil {
			t.Errorf("the signature is also that of %q", body)
		}
	}
}

func TestWhatIsNoAnswer(t *testing.T) {
	long := `{"allow":true,"reason":"` + strings.Repeat("x", 10<<20) + `"}`
	for name, test := range map[string]struct {
		status int
		body   string
		result string
	}{
		"500":               {500, `{"allow":true}`, ResultStatus},
		"redirect":          {302, `{"allow":true}`, ResultStatus},
		"204":               {204, ``, ResultStatus},
		"201":               {201, `{"allow":true}`, ResultStatus},
		"empty":             {200, ``, ResultBadAnswer},
		"garbage":           {200, "\x00\xff<html>", ResultBadAnswer},
		"10 MB":             {200, long, ResultBadAnswer},
		"no allow":          {200, `{}`, ResultBadAnswer},
		"allow is text":     {200, `{"allow":"true"}`, ResultBadAnswer},
		"null":              {200, `null`, ResultBadAnswer},
		"an array":          {200, `[{"allow":true}]`, ResultBadAnswer},
		"two documents":     {200, `{"allow":true}{"allow":false}`, ResultBadAnswer},
		"unknown member":    {200, `{"allow":true,"subcribe":["a"]}`, ResultBadAnswer},
		"list of numbers":   {200, `{"allow":true,"subscribe":[1]}`, ResultBadAnswer},
		"expires as text":   {200, `{"allow":true,"expires":"1796000000"}`, ResultBadAnswer},
		"expires far away":  {200, `{"allow":true,"expires":1e300}`, ResultBadAnswer},
		"negative cache":    {200, `{"allow":true,"cache":-1}`, ResultBadAnswer},
		"info is no object": {200, `{"allow":true,"info":7}`, ResultBadAnswer},
		"sub with a break":  {200, `{"allow":true,"sub":"a\nb"}`, ResultBadAnswer},
		"long sub":          {200, `{"allow":true,"sub":"` + strings.Repeat("s", 256) + `"}`, ResultBadAnswer},
	} {
		t.Run(name, func(t *testing.T) {
			for _, open := range []bool{false, true} {
				n := newNode(t, Options{FailOpen: open}, BackendOptions{Transport: fake(func(*http.Request) (*http.Response, error) { return answered(test.status, test.body) })})
				v := n.ask(&Request{})
				if v.Allow != open || !v.Failed || v.Answer != nil {
					t.Errorf("fail open %v: %+v", open, v)
				}
				if got := <-n.results; got != test.result || n.Counts()[got] != 1 {
					t.Errorf("result %s, want %s", got, test.result)
				}
			}
		})
	}
}

// TestRedirectIsNotFollowed: the request would go, signed, where nobody said.
func TestRedirectIsNotFollowed(t *testing.T) {
	var reached atomic.Bool
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Store(true) }))
	defer other.Close()
	server := httptest.NewServer(http.RedirectHandler(other.URL, http.StatusTemporaryRedirect))
	defer server.Close()
	n := newNode(t, Options{URL: server.URL}, BackendOptions{})
	if v := n.ask(&Request{}); v.Allow || reached.Load() {
		t.Errorf("%+v, followed: %v", v, reached.Load())
	}
}

func TestReasonIsReadable(t *testing.T) {
	for text, want := range map[string]string{
		`no`:                            "no",
		`a\u0000b\r\nc`:                 "a b  c",
		strings.Repeat("é", 100):        strings.Repeat("é", 61),
		`\ud800`:                        "\uFFFD",
		"\xff":                          "\uFFFD",
		strings.Repeat("x", 123) + "yz": strings.Repeat("x", 123),
	} {
		a, err := parseAnswer([]byte(`{"allow":false,"reason":"` + text + `"}`))
		if err != nil || a.Reason != want {
			t.Errorf("%q: %q, %v", text, a.Reason, err)
		}
	}
}

// TestConcurrency: the backend sees so many requests at one time and no more; the others wait, in
// their order, and those that wait too long fail.
func TestConcurrency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var now, most atomic.Int64
		n := newNode(t, Options{}, BackendOptions{Concurrency: 8, Transport: fake(func(*http.Request) (*http.Response, error) {
			at := now.Add(1)
			for old := most.Load(); at > old && !most.CompareAndSwap(old, at); old = most.Load() {
			}
			time.Sleep(50 * time.Millisecond)
			now.Add(-1)
			return answered(200, `{"allow":true}`)
		})})
		start := time.Now()
		var allowed, late atomic.Int64
		var all sync.WaitGroup
		for i := range 1000 {
			all.Add(1)
			n.Ask(&Request{Address: fmt.Sprint(i)}, func(v Verdict) {
				if v.Allow {
					allowed.Add(1)
				} else if since := time.Since(start); since == time.Second {
					late.Add(1)
				}
				all.Done()
			})
		}
		all.Wait()
		// 8 each 50 ms: 160 within the second, and the 8 that begin at its end or do not.
		if most.Load() != 8 || allowed.Load() < 160 || allowed.Load() > 168 || allowed.Load()+late.Load() != 1000 {
			t.Errorf("at most %d at one time, %d allowed, %d failed after exactly a second", most.Load(), allowed.Load(), late.Load())
		}
		n.close()
	})
}

// TestHangingBackend: everybody waits the timeout until the breaker opens, then nobody waits. It
// closes again when the backend has recovered.
func TestHangingBackend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var broken atomic.Bool
		broken.Store(true)
		n := newNode(t, Options{}, BackendOptions{Transport: fake(func(r *http.Request) (*http.Response, error) {
			if broken.Load() {
				return hangs(r)
			}
			return answered(200, `{"allow":true}`)
		})})
		for range breakerRow {
			from := time.Now()
			if v := n.ask(&Request{}); v.Allow || time.Since(from) != time.Second {
				t.Fatalf("%+v after %v", v, time.Since(from))
			}
			if result := <-n.results; result != ResultTimeout {
				t.Fatalf("result %s", result)
			}
		}
		from := time.Now()
		if n.ask(&Request{}); time.Since(from) != 0 || <-n.results != ResultBreaker {
			t.Errorf("with the breaker open, a request took %v", time.Since(from))
		}
		broken.Store(false)
		time.Sleep(breakerPause + time.Millisecond)
		for range breakerProbes {
			if v := n.ask(&Request{}); !v.Allow {
				t.Errorf("the backend has recovered: %+v", v)
			}
		}
		n.close()
	})
}

// TestSlowBody: a body that comes slowly is bounded like everything else.
func TestSlowBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, Options{}, BackendOptions{Transport: fake(func(r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(slow{r.Context()})}, nil
		})})
		from := time.Now()
		if n.ask(&Request{}); time.Since(from) != time.Second || <-n.results != ResultTimeout {
			t.Errorf("after %v", time.Since(from))
		}
		n.close()
	})
}

// slow is a body of which a byte comes each 100 ms.
type slow struct{ ctx context.Context }

func (s slow) Read(p []byte) (int, error) {
	select {
	case <-time.After(100 * time.Millisecond):
		p[0] = ' '
		return 1, nil
	case <-s.ctx.Done():
		return 0, s.ctx.Err()
	}
}

func TestCache(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked int
		var body string
		n := newNode(t, Options{Kind: Subscribe}, BackendOptions{Transport: fake(func(*http.Request) (*http.Response, error) {
			asked++
			return answered(200, body)
		})})
		ask := func(want int, r Request) {
			t.Helper()
			r.Topics = []string{"a"}
			if n.ask(&r); asked != want {
				t.Errorf("%+v: the backend was asked %d times, want %d", r, asked, want)
			}
		}
		body = `{"allow":true}`
		ask(1, Request{Sub: "u1"})
		ask(2, Request{Sub: "u1"}) // the answer said nothing of a cache
		body = `{"allow":true,"cache":10}`
		ask(3, Request{Sub: "u1", Conn: "1"})
		ask(3, Request{Sub: "u1", Conn: "2"})
		ask(4, Request{Sub: "u2", Conn: "1"})
		ask(5, Request{Conn: "1"})
		ask(5, Request{Conn: "1"})
		ask(6, Request{Conn: "2"}) // who is not identified may be another client
		time.Sleep(10 * time.Second)
		ask(7, Request{Sub: "u1"})
		body = fmt.Sprintf(`{"allow":true,"cache":10,"expires":%d}`, time.Now().Add(3*time.Second).Unix())
		ask(8, Request{Sub: "u3"})
		time.Sleep(2 * time.Second)
		ask(8, Request{Sub: "u3"})
		time.Sleep(time.Second)
		ask(9, Request{Sub: "u3"}) // the decision has ended
		body = `{"allow":false,"cache":1e9}`
		ask(10, Request{Sub: "u4"})
		time.Sleep(CacheTimeMax)
		ask(11, Request{Sub: "u4"})
		if got := n.Counts()[ResultCached]; got != 3 {
			t.Errorf("%d answers from the cache, want 3", got)
		}
		n.close()
	})
}

func TestCacheIsBounded(t *testing.T) {
	var c cache
	now := time.Now()
	for i := range CacheEntriesMax + 100 {
		c.put(key{byte(i), byte(i >> 8), byte(i >> 16)}, &Answer{Cache: time.Minute}, now)
		c.get(key{}, now) // the first one is used all the time
	}
	if c.size() != min(CacheEntriesMax, CacheBytesMax/cacheEntryBytes) || c.get(key{}, now) == nil || c.get(key{1}, now) != nil {
		t.Errorf("%d entries; the one in use is there: %v; the oldest: %v", c.size(), c.get(key{}, now) != nil, c.get(key{1}, now) != nil)
	}
	c.put(key{9}, &Answer{Cache: time.Minute, Lists: &Lists{Info: bytes.Repeat([]byte{'x'}, CacheBytesMax)}}, now)
	if c.size() != 0 || c.bytes != 0 {
		t.Errorf("an answer that does not fit: %d entries, %d bytes", c.size(), c.bytes)
	}
}

// TestFull: Ask answers at once where too many wait.
func TestFull(t *testing.T) {
	block := make(chan struct{})
	n := newNode(t, Options{}, BackendOptions{Concurrency: 1, Transport: fake(func(r *http.Request) (*http.Response, error) {
		<-block
		return answered(200, `{"allow":true}`)
	})})
	var done sync.WaitGroup
	for range WaitingMax + AskedMax + 100 {
		done.Add(1)
		n.Ask(&Request{}, func(Verdict) { done.Done() })
	}
	for result := range n.results {
		if result == ResultFull {
			break
		}
	}
	close(block)
	done.Wait()
}

func TestUnreachable(t *testing.T) {
	n := newNode(t, Options{URL: "http://127.0.0.1:1/?key=s3cret"}, BackendOptions{})
	var said error
	n.opt.Failed = func(_ Kind, result string, err error) { said = err; n.results <- result }
	if v := n.ask(&Request{}); v.Allow || <-n.results != ResultUnreachable {
		t.Errorf("%+v", v)
	}
	if said == nil || strings.Contains(said.Error(), "s3cret") {
		t.Errorf("the error is %v: it must not have the query of the URL", said)
	}
}

func FuzzAnswer(f *testing.F) {
	for _, s := range []string{`{"allow":true}`, `{"allow":false,"reason":"no"}`, `{"allow":true,"cache":1e300,"expires":1,"info":{}}`,
		`{"allow":true,"subscribe":["a"],"join":[]}`, `null`, ``} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		a, err := parseAnswer(p)
		if err != nil {
			return
		}
		if !json.Valid(p) || len(a.Reason) > ReasonBytesMax || len(a.Sub) > SubjectBytesMax || a.Cache < 0 || a.Cache > CacheTimeMax || a.bytes() < cacheEntryBytes {
			t.Errorf("%q: %+v", p, a)
		}
	})
}
