// Whole runs with fake processes.

package loadgen

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"c100k/loadgen/swarm"
)

// target is a server that accepts every WebSocket and sends nothing.
func target(t *testing.T) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, _, _, err := ws.UpgradeHTTP(r, w)
		if err == nil {
			conn.Close()
		}
	}))
	t.Cleanup(server.Close)
	return "ws" + strings.TrimPrefix(server.URL, "http") + "/echo"
}

// newRun is a run whose processes are this test binary as the given fake.
func newRun(t *testing.T, fake string, change func(*Options)) *Run {
	t.Helper()
	t.Setenv(fakeVariable, fake)
	o := DefaultOptions()
	o.URL, o.For, o.Settle = target(t), 10*time.Millisecond, time.Second
	o.Command = []string{os.Args[0]}
	if change != nil {
		change(&o)
	}
	r, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRun(t *testing.T) {
	r := newRun(t, "good", func(o *Options) { o.Conns, o.ConnsPerProcess = 100, 40 })
	result, err := r.Do(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	c, m := result.Connections, result.Messages
	if c.Open != 100 || c.Opened != 100 || c.Failed["refused"] != 6 || c.Lost["reset"] != 3 || c.FailedCount != 6 || c.LostCount != 3 {
		t.Errorf("connections %+v: those of the ramp and of the measured part belong together", c)
	}
	if m.Sent != 30 || m.Received != 27 || m.Lost != 3 || m.Duplicated != 6 || m.Reordered != 9 {
		t.Errorf("messages %+v", m)
	}
	if result.Generator.Processes != 3 || result.Interrupted || result.Protocol != swarm.Raw {
		t.Errorf("result %+v", result)
	}
}

// TestUnsettled: whatever a process does after the measured part, the run ends with the results it
// has, and names what is missing.
func TestUnsettled(t *testing.T) {
	for fake, want := range map[string]string{
		"unsettled": "process 1 of the load did not settle within",
		"crashes":   "process 1 of the load ended before it should: exit status 3",
		"hangs":     "process 0 of the load did not settle within",
	} {
		lost := Threshold{Expression: "lost > 1000", metric: metricNamed("lost"), compare: ">", bound: 1000}
		r := newRun(t, fake, func(o *Options) {
			o.Conns, o.ConnsPerProcess, o.Settle, o.Thresholds = 100, 40, 0, []Threshold{lost}
		})
		// Enough for the correct processes on a busy machine; the run waits this long for the others.
		r.slack = waits{settle: 3 * time.Second, end: 5 * time.Second}
		if fake == "hangs" {
			r.slack.end = 300 * time.Millisecond
		}
		result, err := r.Do(t.Context())
		if err != nil {
			t.Errorf("%s: %v", fake, err)
			continue
		}
		missing := strings.Join(result.Missing, "\n")
		if !strings.Contains(missing, want) || !strings.Contains(missing, "lost is not known") || result.Verdict.Valid {
			t.Errorf("%s: missing %q, verdict %+v; want %q and an invalid result", fake, missing, result.Verdict, want)
		}
		if fake != "hangs" && (len(result.Missing) != 1 || result.Messages.Sent != 20 || result.Messages.Lost != 2 || !strings.Contains(missing, "connections 34 to 66 lost")) {
			t.Errorf("%s: missing %q, messages %+v", fake, missing, result.Messages)
		}
		if b := result.Bounds[0]; !b.Broken || b.Shown != "not measured" {
			t.Errorf("%s: %+v, want a bound on what is not known to be broken", fake, b)
		}
	}
}

// TestAddresses: a name with several addresses is spread over those that take connections.
func TestAddresses(t *testing.T) {
	r := newRun(t, "good", func(o *Options) {
		o.Conns = 7
		o.URL = strings.Replace(o.URL, "127.0.0.1", "several.example", 1)
	})
	second, err := net.Listen("tcp", strings.Replace(hostOf(r.options.URL), "several.example", "127.0.0.3", 1))
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	r.lookup = func(context.Context, string, string) ([]netip.Addr, error) {
		return []netip.Addr{netip.IPv6Loopback(), netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("127.0.0.2"), netip.MustParseAddr("127.0.0.3")}, nil
	}
	result, err := r.Do(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(hostOf(r.options.URL))
	if want := []string{"127.0.0.1:" + port, "127.0.0.3:" + port}; !slices.Equal(result.Addresses, want) || !slices.Equal(result.Silent, []string{"127.0.0.2:" + port}) {
		t.Errorf("spread over %v, without %v; want %v", result.Addresses, result.Silent, want)
	}
	if spec := r.specs[0]; len(spec.Others) != 1 || spec.Target.Addr() == spec.Others[0].Addr() {
		t.Errorf("%v and %v", spec.Target, spec.Others)
	}
	if remarks := strings.Join(result.Verdict.Remarks, "\n"); !strings.Contains(remarks, "1 of 3 addresses") {
		t.Errorf("remarks %q", remarks)
	}
}

func hostOf(address string) string {
	_, rest, _ := strings.Cut(address, "://")
	host, _, _ := strings.Cut(rest, "/")
	return host
}

func TestStorms(t *testing.T) {
	r := newRun(t, "good", func(o *Options) {
		o.Mode, o.Storms, o.StormEvery, o.ServerPID = swarm.Storm, 2, time.Millisecond, os.Getpid()
	})
	result, err := r.Do(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(result.Storms) != 2 || !result.Storms[0].All || result.Storms[0].Back != 100 || result.Storms[1].After < 0 {
		t.Errorf("storms %+v", result.Storms)
	}
	// Reconnects cost no processor time of the ramp, which is divided here.
	if got, want := result.Server.PerConnection, Millis(r.server.open.CPU-r.server.idle.CPU)/100; got != want || result.Connections.Opened != 300 {
		t.Errorf("%v a connection that opened, want %v; %d opened", got, want, result.Connections.Opened)
	}
}

func TestProcessesThatFail(t *testing.T) {
	for fake, want := range map[string]string{
		"dies":    "ended before it should: exit status 7: the reason why",
		"garbage": `says "hello", which is no sample`,
		"fails":   "no loop to be had",
		"quits":   "ended before it should",
	} {
		t.Run(fake, func(t *testing.T) {
			result, err := newRun(t, fake, nil).Do(t.Context())
			if result != nil || err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%v, want an error with %q", err, want)
			}
		})
	}
}

func TestInterrupt(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r := newRun(t, "good", func(o *Options) { o.For = time.Hour })
	go func() {
		for p := range r.Watch() {
			if p.Phase == Measure {
				cancel()
			}
		}
	}()
	result, err := r.Do(ctx)
	if err != nil || !result.Interrupted || result.Messages.Received != 9 {
		t.Errorf("%v, %+v: want the partial result", err, result)
	}
	// Without data, the report says so.
	cancel()
	if _, err := newRun(t, "good", nil).Do(ctx); !errors.Is(err, ErrInterrupted) {
		t.Errorf("%v, want ErrInterrupted", err)
	}
}

func TestFinish(t *testing.T) {
	r := newRun(t, "good", func(o *Options) { o.For = time.Hour })
	go func() {
		for p := range r.Watch() {
			if p.Phase == Measure {
				r.Scale(2)
				r.Finish()
			}
		}
	}()
	result, err := r.Do(t.Context())
	if err != nil || result.Interrupted {
		t.Errorf("%v, %+v", err, result)
	}
}

// TestMisuse: options that do not fit the target's protocol are refused before any process is
// started.
func TestMisuse(t *testing.T) {
	for want, change := range map[string]func(*Options){
		"timeout 2h0m0s":                     func(o *Options) { o.Timeout = 2 * time.Hour },
		"nap 30s":                            func(o *Options) { o.Nap = 30 * time.Second },
		"--in-flight waits for answers":      func(o *Options) { o.Mode, o.InFlight = swarm.Publish, 3 },
		"--join is what a client of Socket.": func(o *Options) { o.Join = `["a"]` },
		"--protocol sse needs http://":       func(o *Options) { o.Mode, o.Protocol = swarm.Subscribe, swarm.SSE },
		"c100k.v1 subscribes and publishes":  func(o *Options) { o.Protocol = swarm.V1 },
	} {
		r := newRun(t, "good", change)
		_, err := r.Do(t.Context())
		var misused *UsageError
		if !errors.As(err, &misused) || !strings.Contains(err.Error(), want) || len(r.processes) > 0 {
			t.Errorf("%v, want a usage error with %q", err, want)
		}
	}
	for protocol, refused := range map[swarm.Protocol]bool{swarm.Raw: false, swarm.SocketIO: false, swarm.V1: true, swarm.SSE: true} {
		if err := (&Options{Binary: true}).checkProtocol(protocol); (err != nil) != refused {
			t.Errorf("--binary over %s: %v", protocol, err)
		}
	}
}

// TestHeldKey: the rate stays within what schedules can follow, however often it is changed.
func TestHeldKey(t *testing.T) {
	for _, test := range []struct{ factor, want float64 }{{1.25, RateMax}, {0.8, RateMin}} {
		r := &Run{rate: 10}
		for range 500 {
			if err := r.obey(command{scale: test.factor}); err != nil {
				t.Fatal(err)
			}
		}
		if r.rate != test.want {
			t.Errorf("times %v, again and again: %v, want %v", test.factor, r.rate, test.want)
		}
	}
}

func TestUnreachable(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listener.Close()
	r := newRun(t, "good", func(o *Options) { o.URL = "ws://" + listener.Addr().String() + "/echo" })
	_, err = r.Do(t.Context())
	var gone *UnreachableError
	if !errors.As(err, &gone) || !strings.Contains(err.Error(), "nobody listens there") {
		t.Errorf("%v, want an UnreachableError", err)
	}
}
