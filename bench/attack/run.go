// The run: a node, honest clients without and with strangers, and what came of it.

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"c100k/bench/rig"
	"c100k/internal/procfs"
)

const (
	key = "a-key-that-no-stranger-has"

	// messageBytes is the size of what honest clients send and hear.
	messageBytes = 64

	// askTimeout bounds one look at the node's figures.
	askTimeout = 30 * time.Second
)

// perAddress is --max-conns-per-ip: more than the honest clients have, which share an address, and
// less than the flood wants, of which each worker gets a part.
func (o options) perAddress() int { return o.honest + 20 + o.conns/200 }

// run starts the node and does both runs.
func run(ctx context.Context, o options) (*table, error) {
	chosen, err := rig.Choose("attack", attacks(), func(a attack) string { return a.name }, o.only)
	if err != nil {
		return nil, err
	}
	scratch, err := os.MkdirTemp("", "attack-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(scratch)
	if o.out == "" {
		o.out = scratch
	}
	if err := os.MkdirAll(o.out, 0o755); err != nil {
		return nil, err
	}
	node, err := startNode(o)
	if err != nil {
		return nil, err
	}
	defer node.Stop()
	attacked := node
	if o.elsewhere {
		if attacked, err = startNode(o); err != nil {
			return nil, err
		}
		defer attacked.Stop()
	}
	before := node.Workers()
	quiet, err := honest(ctx, o, node, "quiet", o.quiet)
	if err != nil {
		return nil, fmt.Errorf("without strangers: %w", err)
	}

	watch := watchMemory(attacked)
	strangers := startStrangers(ctx, o, attacked, chosen)
	loud, err := honest(ctx, o, node, "attacked", o.span)
	figures, asked := readFigures(ctx, attacked) // the admin port answers under attack, too
	did, failed := strangers.stop()
	most := watch.stop()
	if err = errors.Join(err, asked, failed); err != nil {
		return nil, fmt.Errorf("with strangers: %w", err)
	}
	t := &table{times: !o.quick}
	t.compare(quiet, loud)
	t.memory(most, len(before), figures)
	t.node(before, node)
	t.strangers(chosen, did, figures)
	return t, nil
}

// startNode starts a node with limits that the strangers meet.
func startNode(o options) (*rig.Node, error) {
	return rig.Start(o.binary, rig.Environment{}, "--workers", o.workers, "--memory", o.memory, "--demo-endpoints",
		"--public-topics", "news", "--api-key", key, "--max-conns", fmt.Sprint(o.conns+o.honest+1000),
		"--max-conns-per-ip", fmt.Sprint(o.perAddress()))
}

// both is a run of both kinds of honest clients.
type both struct{ echo, listen *rig.Load }

// honest runs the honest clients for a time.
func honest(ctx context.Context, o options, node *rig.Node, name string, span time.Duration) (b both, err error) {
	var group sync.WaitGroup
	var echoErr, listenErr error
	conns := max(1, o.honest/2)
	begin := func(kind, url string, args ...string) (*rig.Load, error) {
		base := filepath.Join(o.out, time.Now().UTC().Format(time.DateOnly)+"-attack-"+name+"-"+kind)
		return rig.Run(ctx, o.binary, base, os.Stderr, append([]string{url, "--conns", fmt.Sprint(conns),
			"--size", fmt.Sprint(messageBytes), "--for", span.String()}, args...)...)
	}
	group.Go(func() {
		b.echo, echoErr = begin("echo", "ws://"+node.Public+"/echo", "--rate", fmt.Sprintf("%d/s", conns))
	})
	group.Go(func() {
		b.listen, listenErr = begin("listen", "ws://"+node.Public+"/ws?topic=news", "--topic", "news",
			"--publish", "http://"+node.Admin+"/v1/topics/news", "--publish-rate", "10/s")
	})
	group.Wait()
	return b, errors.Join(echoErr, listenErr)
}

// figures is what is looked at of the node's statistics.
type figures struct {
	Connections struct {
		Refused map[string]uint64            `json:"refused_total"`
		Closed  map[string]map[string]uint64 `json:"closed_total"`
	} `json:"connections"`
	Rejected map[string]uint64 `json:"handshakes_rejected_total"`
	Held     struct {
		Bytes     int64  `json:"bytes"`
		Limit     int64  `json:"limit_bytes"`
		Shortages uint64 `json:"shortages_total"`
	} `json:"held"`
}

func readFigures(ctx context.Context, node *rig.Node) (f figures, err error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+node.Admin+"/v1/stats", nil)
	if err != nil {
		return f, err
	}
	request.Header.Set("Authorization", "Bearer "+key)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return f, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return f, fmt.Errorf("statistics of the node: %s", response.Status)
	}
	return f, json.NewDecoder(io.LimitReader(response.Body, 16<<20)).Decode(&f)
}

// memoryWatch looks at the memory of all processes of a node.
type memoryWatch struct {
	end  chan struct{}
	most chan int64
}

func watchMemory(node *rig.Node) *memoryWatch {
	w := &memoryWatch{end: make(chan struct{}), most: make(chan int64, 1)}
	go func() {
		most, tick := int64(0), time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			sum := int64(0)
			for _, pid := range append(rig.Children(node.PID()), node.PID()) {
				private, err := procfs.PrivateBytes(pid)
				if err == nil { // else it has just ended
					sum += private
				}
			}
			most = max(most, sum)
			select {
			case <-tick.C:
			case <-w.end:
				w.most <- most
				return
			}
		}
	}()
	return w
}

// stop ends the watch and returns the most that was seen, in bytes.
func (w *memoryWatch) stop() int64 {
	close(w.end)
	return <-w.most
}
