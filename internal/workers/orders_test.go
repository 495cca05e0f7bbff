// Orders and failures: what one side writes, the other reads, and nothing else.

package workers

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"c100k/server"
)

func someOrders() *Orders {
	c := server.Defaults()
	c.Dev, c.Loops, c.Rate, c.Drain = true, 2, 20, server.Off
	c.Bus = "nats://secret@127.0.0.1:4222"
	c.Origins, c.PublicTopics = []string{"https://example.com"}, []string{"news.*"}
	c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	c.PingInterval = time.Minute
	return &Orders{Worker: 1, Workers: 3, Listen: "127.0.0.1:8080", LoopBase: 2, Procs: 3, Beat: time.Second, Config: c,
		Log: LogOrders{Format: "json", Level: slog.LevelDebug}}
}

func TestOrdersRoundTrip(t *testing.T) {
	want := someOrders()
	text, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	got, err := parseOrders(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	// What is not exported is no part of orders: it is set in a process by its own tests.
	prefixes := cmp.Comparer(func(x, y netip.Prefix) bool { return x == y })
	if diff := cmp.Diff(want, got, prefixes, cmpopts.IgnoreUnexported(server.Config{})); diff != "" {
		t.Error(diff)
	}
}

func TestOrdersRefuse(t *testing.T) {
	change := func(f func(*Orders)) string {
		o := someOrders()
		f(o)
		text, err := json.Marshal(o)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	for _, test := range []struct{ text, want string }{
		{"", "EOF"},
		{"[]", "cannot unmarshal"},
		{`{"worker":0,"unknown":1}`, "unknown field"},
		{change(func(*Orders) {}) + "{}", "more than one document"},
		{change(func(*Orders) {}) + "x", "more than one document"},
		{change(func(o *Orders) { o.Workers = 0 }), "worker 1 of 0"},
		{change(func(o *Orders) { o.Workers = 65 }), "worker 1 of 65"},
		{change(func(o *Orders) { o.Worker = 3 }), "worker 3 of 3"},
		{change(func(o *Orders) { o.Worker = -1 }), "worker -1"},
		{change(func(o *Orders) { o.LoopBase = -1 }), "loops from -1"},
		{change(func(o *Orders) { o.Beat = 0 }), "signs of life every 0s"},
		{change(func(o *Orders) { o.Procs = 0 }), "on 0 processors"},
		{change(func(o *Orders) { o.Listen = ":8080" }), `address ":8080"`},
		{change(func(o *Orders) { o.Log.Format = "auto" }), `log format "auto"`},
		{change(func(o *Orders) { o.Config.MaxMessage = -1 }), "MaxMessage is -1"},
	} {
		if _, err := parseOrders(strings.NewReader(test.text)); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%.60s: %v, want %q", test.text, err, test.want)
		}
	}
}

func TestFailureRoundTrip(t *testing.T) {
	for _, test := range []struct {
		err  error
		want error // what errors.Is finds on the other side
	}{
		{fmt.Errorf("%w on :80: in use", server.ErrListen), server.ErrListen},
		{fmt.Errorf("%w: refused", server.ErrBus), server.ErrBus},
		{errors.New("no memory"), nil},
	} {
		got := roundTrip(t, failureOf(test.err))
		if got.Error() != test.err.Error() || test.want != nil && !errors.Is(got, test.want) || test.want == nil && errors.Unwrap(got) != nil {
			t.Errorf("%v came as %v", test.err, got)
		}
	}
	var field *server.FieldError
	got := roundTrip(t, failureOf(fmt.Errorf("new: %w", &server.FieldError{Field: "IO", Given: "uring", Allowed: "not here"})))
	if !errors.As(got, &field) || field.Field != "IO" || field.Allowed != "not here" {
		t.Errorf("%v", got)
	}
	var setting *server.SettingError
	got = roundTrip(t, failureOf(&server.SettingError{Field: "Static", Err: errors.New("no such directory")}))
	if !errors.As(got, &setting) || setting.Field != "Static" || setting.Err.Error() != "no such directory" {
		t.Errorf("%v", got)
	}
}

func roundTrip(t *testing.T, f Failure) *Failure {
	t.Helper()
	text, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	got := new(Failure)
	if err := readDocument(bytes.NewReader(text), got); err != nil {
		t.Fatal(err)
	}
	return got
}

// FuzzOrders: whatever is taken for orders is within its bounds, and is the same when it is written
// and read again.
func FuzzOrders(f *testing.F) {
	text, err := json.Marshal(someOrders())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte(`{"worker":0,"workers":1,"listen":"[::]:1","loopBase":0,"procs":1,"beat":1000000000,"config":{},"log":{"format":"text","level":"INFO"}}`))
	f.Add([]byte(`{"worker":0,"workers":1,"listen":"[::]:1","loopBase":0,"procs":1,"beat":1000000000,"config":{"Workers":-1},"log":{"format":"text","level":"INFO-3"}}`))
	f.Add([]byte(`{}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		o, err := parseOrders(bytes.NewReader(text))
		if err != nil {
			return
		}
		if o.Worker < 0 || o.Worker >= o.Workers || o.Procs < 1 || o.Config.Validate() != nil {
			t.Fatalf("taken: %+v", o)
		}
		first, err := json.Marshal(o)
		if err != nil {
			t.Fatal(err)
		}
		again, err := parseOrders(bytes.NewReader(first))
		if err != nil {
			t.Fatalf("%s: %v", first, err)
		}
		if second, err := json.Marshal(again); err != nil || !bytes.Equal(first, second) {
			t.Fatalf("%s\n%s\n%v", first, second, err)
		}
	})
}

// FuzzDocument: a change or a failure from a link is one whole document of its type, the same when
// it is written and read again, or an error.
func FuzzDocument(f *testing.F) {
	for _, v := range []any{Change{Config: someOrders().Config}, failureOf(server.ErrListen), Failure{Field: &server.FieldError{Field: "Listen"}}} {
		text, err := json.Marshal(v)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add([]byte(`{"text":"a"} {}`))
	f.Add([]byte(`{"level":"LOUD"}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, fresh := range []func() any{func() any { return new(Change) }, func() any { return new(Failure) }} {
			v := fresh()
			if readDocument(bytes.NewReader(text), v) != nil {
				continue
			}
			first, err := json.Marshal(v)
			if err != nil {
				t.Fatal(err)
			}
			again := fresh()
			if err := readDocument(bytes.NewReader(first), again); err != nil {
				t.Fatalf("%s: %v", first, err)
			}
			if second, err := json.Marshal(again); err != nil || !bytes.Equal(first, second) {
				t.Fatalf("%s\n%s\n%v", first, second, err)
			}
			if failure, ok := v.(*Failure); ok {
				_ = errors.Is(failure, server.ErrListen)
			}
		}
	})
}
