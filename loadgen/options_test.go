// Options: defaults, and combinations that are refused.

package loadgen

import (
	"errors"
	"strings"
	"testing"
	"time"

	"c100k/loadgen/swarm"
)

func TestOptionsThatMakeNoSense(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*Options)
		want   string
	}{
		{"no URL", func(o *Options) { o.URL = "127.0.0.1:8080" }, "is refused"},
		{"other scheme", func(o *Options) { o.URL = "ftp://a/" }, "is refused"},
		{"mark in the host", func(o *Options) { o.URL = "ws://{i}.example/" }, "is refused"},
		{"no connections", func(o *Options) { o.Conns = 0 }, "--conns 0"},
		{"too many", func(o *Options) { o.Conns = ConnsMax + 1 }, "--conns"},
		{"too small", func(o *Options) { o.Size = swarm.TokenBytes - 1 }, "--size 31"},
		{"less than no time before", func(o *Options) { o.Warm = -1 }, "--warm"},
		{"no time", func(o *Options) { o.For = 0 }, "--for"},
		{"no such process", func(o *Options) { o.ServerPID = 1 << 30 }, "--server-pid"},
		{"two paces", func(o *Options) { o.Rate, o.InFlight = 5, 1 }, "exclude each other"},
		{"rate of listeners", func(o *Options) { o.Mode, o.Rate = swarm.Subscribe, 5 }, "--publish URL"},
		{"rate of listeners with a publisher", func(o *Options) { o.Mode, o.Rate, o.PublishURL = swarm.Subscribe, 5, "http://a/" }, "use --publish-rate"},
		{"rate of the idle", func(o *Options) { o.Mode, o.Rate = swarm.Idle, 5 }, "sends nothing"},
		{"in flight of churn", func(o *Options) { o.Mode, o.InFlight = swarm.Churn, 5 }, "--in-flight needs"},
		{"echo over SSE", func(o *Options) { o.URL, o.Mode = "http://a/echo", swarm.Echo }, "needs a WebSocket"},
		{"too fast", func(o *Options) { o.Rate = 2e9 }, "--rate 2e+09/s is refused"},
		{"too slow", func(o *Options) { o.Rate = 1e-14 }, "allowed are 0.001/s to 10000000/s"},
		{"connecting too slowly", func(o *Options) { o.ConnectRate = 1e-14 }, "--connect-rate 1e-14/s"},
		{"publishing too fast", func(o *Options) { o.Mode, o.PublishURL, o.PublishRate = swarm.Subscribe, "http://a/", 2e9 }, "--publish-rate 2e+09/s"},
		{"topics without a name", func(o *Options) { o.Topics = 2 }, "needs --topic"},
		{"more topics than connections", func(o *Options) { o.Topics, o.Topic, o.Conns = 2, "t", 1 }, "no listener"},
		{"mark without a topic", func(o *Options) { o.URL = "ws://a/?t={topic}" }, "--topic NAME"},
		{"topic without a mark", func(o *Options) { o.URL, o.Topic, o.Protocol = "ws://a/feed", "t", swarm.Raw }, "'ws://a/feed?topic={topic}'"},
		{"topic without a mark, query", func(o *Options) { o.URL, o.Topic = "http://a/feed?x=1", "t" }, "'http://a/feed?x=1&topic={topic}'"},
		{"topic without a mark, a topic in the query", func(o *Options) { o.URL, o.Topic = "http://a/sse?topic=x", "t" }, "'http://a/sse?topic=x&topic={topic}'"},
		{"publisher of an echo", func(o *Options) { o.PublishURL = "http://a/" }, "nobody listens"},
		{"publisher's scheme", func(o *Options) { o.Mode, o.PublishURL = swarm.Subscribe, "tcp://a/" }, "--publish"},
		{"publisher's rate", func(o *Options) { o.Mode, o.PublishURL, o.PublishRate = swarm.Subscribe, "http://a/", 0 }, "--publish-rate"},
		{"publisher's header", func(o *Options) { o.PublishHeader = [][2]string{{"a", "b"}} }, "needs --publish"},
		{"publisher's mark", func(o *Options) { o.Mode, o.PublishURL = swarm.Subscribe, "http://a/{topic}" }, "--topic NAME"},
		{"publisher's loop over topics", func(o *Options) {
			o.URL, o.Mode, o.InFlight, o.Topics, o.Topic, o.PublishURL = "ws://a/{topic}", swarm.Subscribe, 1, 2, "t", "ws://a/{topic}"
		}, "--topics 2"},
		{"no burst", func(o *Options) { o.Mode, o.PublishURL, o.PublishBurst = swarm.Subscribe, "ws://a/", 0 }, "--publish-burst 0"},
		{"burst by HTTP", func(o *Options) { o.Mode, o.PublishURL, o.PublishBurst = swarm.Subscribe, "http://a/", 2 }, "use ws://"},
		{"hello in an envelope", func(o *Options) { o.Protocol, o.Hello = swarm.SocketIO, "{}" }, "--hello"},
		{"compressed event stream", func(o *Options) { o.URL, o.Mode, o.Compress = "http://a/sse", swarm.Subscribe, true }, "--compress"},
		{"storm that stays away", func(o *Options) { o.Mode, o.NoReconnect = swarm.Storm, true }, "--no-reconnect"},
		{"slow share", func(o *Options) { o.SlowShare = 0 }, "--slow-share"},
		{"no time to open", func(o *Options) { o.Timeout = -time.Second }, "--timeout"},
	} {
		o := DefaultOptions()
		o.URL = "ws://127.0.0.1:8080/echo"
		test.change(&o)
		_, err := New(o)
		var misused *UsageError
		if !errors.As(err, &misused) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want a usage error with %q", test.name, err, test.want)
		}
	}
}

func TestDefaultsByURL(t *testing.T) {
	for url, want := range map[string]struct {
		mode swarm.Mode
		rate float64
	}{
		"ws://a/echo": {swarm.Echo, 100}, "ws://a/x/echo/": {swarm.Echo, 100}, "ws://a/ws?topic=echo": {swarm.Subscribe, 0},
		"http://a/sse?topic=b": {swarm.Subscribe, 0}, "https://a/socket.io/": {swarm.Subscribe, 0}, "wss://a": {swarm.Subscribe, 0},
	} {
		o := DefaultOptions()
		o.URL = url
		r, err := New(o)
		if err != nil {
			t.Errorf("%s: %v", url, err)
			continue
		}
		if o := r.Options(); o.Mode != want.mode || o.Rate != want.rate {
			t.Errorf("%s: mode %s, rate %v; want %s, %v", url, o.Mode, o.Rate, want.mode, want.rate)
		}
	}
}

// The paths of a node take their topic in the query: nobody has to know where it belongs.
func TestTopicOfNode(t *testing.T) {
	for _, test := range []struct {
		url      string
		protocol swarm.Protocol
		want     string
	}{
		{"http://a/sse", swarm.Auto, "http://a/sse?topic={topic}"},
		{"http://a/sse?x=1", swarm.SSE, "http://a/sse?x=1&topic={topic}"},
		{"ws://a/ws", swarm.Raw, "ws://a/ws?topic={topic}"},
		{"ws://a/ws", swarm.Auto, "ws://a/ws"},
		{"ws://a/ws", swarm.V1, "ws://a/ws"},
	} {
		o := DefaultOptions()
		o.URL, o.Protocol, o.Topic = test.url, test.protocol, "t"
		r, err := New(o)
		if err != nil {
			t.Errorf("%s, %s: %v", test.url, test.protocol, err)
			continue
		}
		if got := r.Options().URL; got != test.want {
			t.Errorf("%s, %s: %s, want %s", test.url, test.protocol, got, test.want)
		}
	}
}

func TestTopics(t *testing.T) {
	o := DefaultOptions()
	if got := o.topics(); got != nil {
		t.Errorf("%v without a name", got)
	}
	o.Topic = "a"
	if got := o.topics(); len(got) != 1 || got[0] != "a" {
		t.Errorf("one is %v", got)
	}
	o.Topics = 3
	if got := strings.Join(o.topics(), " "); got != "a.0 a.1 a.2" {
		t.Errorf("three are %s", got)
	}
}

func TestFill(t *testing.T) {
	for _, test := range [][3]string{
		{"ws://a/{topic}?i={i}", "a b", "ws://a/a%20b?i=7"}, {"ws://a/?t={topic}", "x&y=z", "ws://a/?t=x%26y%3Dz"}, {"http://a/{topic}", "..", "http://a/%2E%2E"},
		{"http://a/{topic}/{topic}", "ü/é", "http://a/%C3%BC%2F%C3%A9/%C3%BC%2F%C3%A9"},
	} {
		if got := fill(test[0], test[1], 7); got != test[2] {
			t.Errorf("%s with %q: %s, want %s", test[0], test[1], got, test[2])
		}
	}
}
