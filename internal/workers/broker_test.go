// The broker: who is let in, and what goes through it.

package workers

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"c100k/internal/bus/natsbus"
	"c100k/server"
)

func TestBroker(t *testing.T) {
	log := new(logBuffer)
	b, err := startBroker(&server.Config{MaxMessage: 64 << 10}, slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	where, err := url.Parse(b.URL())
	if err != nil {
		t.Fatal(err)
	}
	if host := where.Hostname(); !net.ParseIP(host).IsLoopback() {
		t.Errorf("it listens on %s", host)
	}
	secret := where.User.Username()
	if len(secret) < 26 {
		t.Errorf("a secret of %d letters", len(secret))
	}
	join := func(user *url.Userinfo) error {
		u := *where
		u.User = user
		joined, err := natsbus.Join(context.Background(), natsbus.Options{URL: u.String(), Name: "test"})
		if err == nil {
			joined.Close()
		}
		return err
	}
	if err := join(where.User); err != nil {
		t.Errorf("with the secret: %v", err)
	}
	for name, user := range map[string]*url.Userinfo{"no secret": nil, "a wrong one": url.User("guess"), "a part of it": url.User(secret[1:])} {
		if join(user) == nil {
			t.Errorf("%s: let in", name)
		}
	}
	if strings.Contains(log.String(), secret) {
		t.Error("the secret is in the log")
	}
	again, err := startBroker(&server.Config{MaxMessage: 64 << 10}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if strings.Contains(again.URL(), secret) {
		t.Error("the same secret again")
	}
}

// TestLargestMessage: what --max-message allows goes over the bus.
func TestLargestMessage(t *testing.T) {
	const size = 5 << 20
	r := start(t, func(o *Options) {
		o.Config.MaxMessage, o.Config.Outbox = size, 2*size
	})
	var streams []*listener
	for range 12 {
		streams = append(streams, r.listen("a"))
	}
	// The answers count what is heard in the time of an ask, which a busy machine may exceed: what
	// the streams get is looked at instead.
	for _, payload := range []string{strings.Repeat("x", size), "and on"} {
		if status := r.ask("POST", "/v1/topics/a", payload, nil); status != http.StatusOK {
			t.Fatalf("%d bytes: status %d", len(payload), status)
		}
	}
	for _, l := range streams {
		if got := r.next(l); len(got) != size {
			t.Fatalf("%d bytes", len(got))
		}
		if got := r.next(l); got != "and on" {
			t.Fatalf("%q", got)
		}
	}
}

// TestTwoNodes: workers of two nodes on one bus are one.
func TestTwoNodes(t *testing.T) {
	b, err := startBroker(&server.Config{MaxMessage: 64 << 10}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	join := func(o *Options) { o.Config.Bus = b.URL() }
	one, two := start(t, join), start(t, join)
	var streams []*listener
	for range 6 {
		streams = append(streams, one.listen("a"), two.listen("a"))
	}
	two.publish("a", "hello", len(streams))
	one.publish("a", "and back", len(streams))
	for _, l := range streams {
		if first, second := one.next(l), one.next(l); first != "hello" || second != "and back" {
			t.Fatalf("got %q and %q", first, second)
		}
	}
	// The bus goes on when one of the nodes has gone, in an order that the other does not choose.
	if err := two.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
	one.publish("a", "alone", len(streams)/2)
}
