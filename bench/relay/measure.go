// Both measurements.

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"c100k/bench/rig"
	"c100k/internal/procfs"
	"c100k/websocket"
)

const (
	// patience bounds each wait for something to begin or to settle.
	patience = 60 * time.Second
	// pollPause is the time between two looks.
	pollPause = 20 * time.Millisecond
	// batchEvery is the time between two requests that publish.
	batchEvery = 10 * time.Millisecond
	// requestsMax bounds the requests that wait for an answer.
	requestsMax = 64
	// fanoutPause is the time between two messages of the fan-out.
	fanoutPause = 100 * time.Millisecond
	// costMax is the goal of the fan-out: CPU of a message that comes over the bus, beside one that is
	// published on the node itself.
	costMax = 1.1
)

var client = &http.Client{Timeout: patience, Transport: &http.Transport{MaxIdleConnsPerHost: requestsMax}}

// throughput publishes on one node for a while, and counts what a subscriber of the other receives.
func (p *pair) throughput(ctx context.Context) ([]figure, error) {
	subscriber, err := websocket.Dial(ctx, "ws://"+p.to.Public+"/ws?topic=flow", nil)
	if err != nil {
		return nil, err
	}
	defer subscriber.Terminate()
	var received atomic.Int64
	ended := make(chan error, 1)
	go func() {
		for {
			if _, err := subscriber.Read(ctx); err != nil {
				ended <- err
				return
			}
			received.Add(1)
		}
	}()
	processes := map[string]int{"the node that publishes": p.from.PID(), "the node that receives": p.to.PID(), "Redis": p.redis.Process.Pid}
	before, err := costs(processes)
	if err != nil {
		return nil, err
	}
	published, took, err := p.flood(ctx)
	if err != nil {
		return nil, err
	}
	for giveUp := time.Now().Add(patience); received.Load() < int64(published) && time.Now().Before(giveUp); time.Sleep(pollPause) {
		if missed, err := counter(p.to, "c100k_bus_missed_total"); err != nil || missed > 0 {
			break
		}
		select {
		case err := <-ended:
			return nil, fmt.Errorf("the subscriber: %w", err)
		default:
		}
	}
	after, err := costs(processes)
	if err != nil {
		return nil, err
	}
	missed, err := counter(p.to, "c100k_bus_missed_total")
	if err != nil {
		return nil, err
	}
	rate := float64(published) / took.Seconds()
	list := []figure{
		{fmt.Sprintf("publishes of %d bytes through one Redis, a second", p.size), fmt.Sprintf("%.0f", rate), fmt.Sprintf("%d (99%%)", p.rate), rate >= 0.99*float64(p.rate)},
		{"of them not received on the other node", fmt.Sprint(int64(published) - received.Load()), "0", received.Load() == int64(published)},
		{"missed, as that node counts", fmt.Sprint(missed), "0", missed == 0},
	}
	for _, name := range []string{"the node that publishes", "Redis", "the node that receives"} {
		list = append(list, plainly("CPU of "+name+" a message", "%.1f µs", float64((after[name]-before[name]).Nanoseconds())/1e3/float64(published)))
	}
	return list, nil
}

// flood publishes at the rate, in batches, and returns when all requests are answered.
func (p *pair) flood(ctx context.Context) (published int, took time.Duration, err error) {
	type item struct {
		Topic string `json:"topic"`
		Data  string `json:"data"`
	}
	batch := make([]item, p.rate*int(batchEvery/time.Millisecond)/1000)
	for i := range batch {
		batch[i] = item{"flow", strings.Repeat("x", p.size)}
	}
	body, err := json.Marshal(batch)
	if err != nil {
		return 0, 0, err
	}
	var failed atomic.Pointer[error]
	var requests sync.WaitGroup
	slots := make(chan struct{}, requestsMax)
	begun := time.Now()
	for due := begun; due.Sub(begun) < p.flow && failed.Load() == nil && ctx.Err() == nil; due = due.Add(batchEvery) {
		time.Sleep(time.Until(due))
		slots <- struct{}{}
		published += len(batch)
		requests.Go(func() {
			if err := post(ctx, p.from, "/v1/publish", body); err != nil {
				failed.Store(&err)
			}
			<-slots
		})
	}
	requests.Wait()
	if err := failed.Load(); err != nil {
		return 0, 0, *err
	}
	return published, time.Since(begun), ctx.Err()
}

func post(ctx context.Context, n *rig.Node, path string, body []byte) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+n.Admin+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	answer, err := client.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	switch {
	case err != nil:
		return err
	case answer.StatusCode != http.StatusOK, bytes.Contains(text, []byte(`"error"`)):
		return fmt.Errorf("publish: %s: %.200s", answer.Status, text)
	}
	return nil
}

// costs are the CPU times of processes.
func costs(processes map[string]int) (map[string]time.Duration, error) {
	all := make(map[string]time.Duration, len(processes))
	for name, pid := range processes {
		cpu, err := procfs.CPUTime(pid)
		if err != nil {
			return nil, err
		}
		all[name] = cpu
	}
	return all, nil
}

// counter is a figure of /metrics.
func counter(n *rig.Node, name string) (int, error) {
	answer, err := client.Get("http://" + n.Admin + "/metrics")
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	lines := bufio.NewScanner(answer.Body)
	for lines.Scan() {
		if text, found := strings.CutPrefix(lines.Text(), name+" "); found {
			value, err := strconv.ParseFloat(text, 64)
			return int(value), err
		}
	}
	return 0, errors.Join(lines.Err(), fmt.Errorf("no %s in /metrics", name))
}

// fanout compares what a message costs the node of the subscribers, by turns: published there, and
// published on the other node.
func (p *pair) fanout(ctx context.Context) ([]figure, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	dir, err := os.MkdirTemp("", "relay-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	stop, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		_, err := rig.Until(ctx, stop, p.binary, filepath.Join(dir, "subscribers"), rig.NewProgress(), "ws://"+p.to.Public+"/ws?topic=fan",
			"--mode", "idle", "--conns", fmt.Sprint(p.subscribers), "--for", "1h", "--plain")
		ended <- err
	}()
	for giveUp := time.Now().Add(patience); ; time.Sleep(pollPause) {
		stats, err := p.to.Stats()
		if err == nil && stats.Connections.Total >= p.subscribers {
			break
		}
		select {
		case err := <-ended:
			return nil, fmt.Errorf("the subscribers ended: %w", err)
		default:
		}
		if time.Now().After(giveUp) {
			return nil, fmt.Errorf("%d subscribers, want %d: %w", stats.Connections.Total, p.subscribers, err)
		}
	}
	var here, there, ratios []float64
	for range p.rounds {
		local, err := p.turn(ctx, p.to)
		if err != nil {
			return nil, err
		}
		remote, err := p.turn(ctx, p.from)
		if err != nil {
			return nil, err
		}
		here, there, ratios = append(here, local), append(there, remote), append(ratios, remote/local)
	}
	close(stop)
	if err := <-ended; err != nil {
		return nil, err
	}
	ratio := median(ratios)
	return []figure{
		plainly(fmt.Sprintf("CPU of a message to %d subscribers, published on their node", p.subscribers), "%.2f ms", median(here)),
		plainly("published on the other node: CPU of the subscribers' node", "%.2f ms", median(there)),
		{"the second beside the first, median of rounds", fmt.Sprintf("%.3f", ratio), fmt.Sprintf("≤ %.1f", costMax), ratio <= costMax},
	}, nil
}

// turn publishes for a window on a node, and returns the CPU of a message on the subscribers' node,
// in milliseconds.
func (p *pair) turn(ctx context.Context, at *rig.Node) (float64, error) {
	before, err := procfs.CPUTime(p.to.PID())
	if err != nil {
		return 0, err
	}
	body := fmt.Appendf(nil, `{"topic":"fan","data":%q}`, strings.Repeat("x", p.size))
	messages := int(p.window / fanoutPause)
	for begun, i := time.Now(), 0; i < messages; i++ {
		time.Sleep(time.Until(begun.Add(time.Duration(i) * fanoutPause)))
		if err := post(ctx, at, "/v1/publish", body); err != nil {
			return 0, err
		}
	}
	time.Sleep(fanoutPause) // for the last one
	after, err := procfs.CPUTime(p.to.PID())
	return float64((after - before).Microseconds()) / 1e3 / float64(messages), err
}

func median(all []float64) float64 {
	sorted := slices.Sorted(slices.Values(all))
	if len(sorted)%2 == 1 {
		return sorted[len(sorted)/2]
	}
	return (sorted[len(sorted)/2-1] + sorted[len(sorted)/2]) / 2
}
