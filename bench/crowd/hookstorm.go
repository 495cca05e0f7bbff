// A storm on a node that asks a backend about each connection: all come back, and the backend never
// gets more requests at one time than it was promised.

package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

const (
	// hookTime is how long the backend takes for an answer.
	hookTime = 50 * time.Millisecond

	// hookConcurrency is the --hook-concurrency of the node, which is its default.
	hookConcurrency = 64

	// backendTimeout bounds the head of a request to the backend.
	backendTimeout = 30 * time.Second
)

// slowBackend lets everybody in, and takes its time.
type slowBackend struct {
	now, most, asked atomic.Int64
}

// ServeHTTP answers a hook.
func (b *slowBackend) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n := b.now.Add(1)
	defer b.now.Add(-1)
	b.asked.Add(1)
	for most := b.most.Load(); n > most && !b.most.CompareAndSwap(most, n); most = b.most.Load() {
	}
	_, _ = io.Copy(io.Discard, r.Body)
	select {
	case <-time.After(hookTime):
	case <-r.Context().Done():
	}
	_, _ = io.WriteString(w, `{"allow":true}`)
}

func hookStorm(ctx context.Context, t *trial) error {
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	backend := &slowBackend{}
	web := &http.Server{Handler: backend, ReadHeaderTimeout: backendTimeout}
	go func() { _ = web.Serve(ln) }()
	defer web.Close()
	node, err := t.node("--hook-connect", "http://"+ln.Addr().String()+"/", "--hook-concurrency", fmt.Sprint(hookConcurrency))
	if err != nil {
		return err
	}
	defer node.Stop()
	load, err := t.load(ctx, node, "hook-storm", t.conns, "--mode", "storm", "--storms", "1", "--for", t.stormFor())
	if err != nil {
		return err
	}
	t.opened(load.Result)
	if err := t.cameBack(load.Result); err != nil {
		return err
	}
	t.note("requests to the backend", float64(backend.asked.Load()), "").atLeast(float64(2 * t.conns))
	t.note("most of them at one time", float64(backend.most.Load()), "").bound(hookConcurrency)
	return t.sound(node)
}
