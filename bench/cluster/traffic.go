// The traffic: publishers and subscribers of each node.

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// publishEvery is the time between two batches of a node. Plain and kept messages of a batch are
	// rates[node]: 1,000 a second in all.
	publishEvery = 10 * time.Millisecond
	// inFlightMax bounds the requests of one node that wait.
	inFlightMax = 2048
	// retryPause is the time between two tries of a message that must not be lost.
	retryPause = 50 * time.Millisecond
	// eventBytesMax bounds a line of a stream of events, in bytes.
	eventBytesMax = 64 << 10

	plain, kept = "plain", "kept"
)

var rates = [3]struct{ plain, kept int }{{3, 0}, {2, 1}, {3, 1}}

// traffic is what flows while the cluster runs.
type traffic struct {
	cluster *cluster
	cancel  context.CancelFunc
	wg      sync.WaitGroup
	flows   atomic.Bool // publishers publish

	waiting atomic.Int64 // requests that are under way

	mu        sync.Mutex // guards the fields below
	number    int        // of the latest message
	published [3]int     // plain messages that a node has taken, by node
	acked     map[string]bool

	subscribers [3]*subscriber // by node
	sockets     []*socket
}

// subscriber has two streams of events of one node: plain and kept.
type subscriber struct {
	traffic *traffic
	home    int
	at      atomic.Int32 // node that it is connected to

	mu     sync.Mutex // guards the fields below
	heard  [3]int     // plain messages, by the node that they were published on
	kept   map[string]bool
	twice  int // kept messages that came again
	resets int
	since  int64 // sent at or after this time, a message shows that the bus is back; Unix ns
	back   int64 // when it came; 0: not yet
}

// begin starts the subscribers and the publishers, which wait for flow.
func begin(c *cluster) (*traffic, error) {
	ctx, cancel := context.WithCancel(context.Background())
	t := &traffic{cluster: c, cancel: cancel, acked: map[string]bool{}}
	for i := range c.nodes {
		s := &subscriber{traffic: t, home: i, kept: map[string]bool{}}
		s.at.Store(int32(i))
		t.subscribers[i] = s
		t.wg.Go(func() { s.run(ctx, plain) })
		t.wg.Go(func() { s.run(ctx, kept) })
		t.wg.Go(func() { t.publisher(ctx, i) })
	}
	for i, n := range c.nodes {
		if err := t.join(ctx, n.Host, i); err != nil {
			t.end()
			return nil, err
		}
	}
	for i, h := range c.socketio {
		if err := t.join(ctx, h, i+len(c.nodes)); err != nil {
			t.end()
			return nil, err
		}
	}
	// All hear all, before anything is counted.
	t.flows.Store(true)
	err := await(ctx, "all hear all", func() error {
		for _, s := range t.subscribers {
			if heard, of := s.counts(); heard[0] == 0 || heard[1] == 0 || heard[2] == 0 || of == 0 {
				return fmt.Errorf("the subscriber of node %d has heard %v and %d", s.home+1, heard, of)
			}
		}
		return t.allHear()
	})
	if err == nil {
		err = t.pause(ctx)
	}
	if err != nil {
		t.end()
		return nil, err
	}
	return t, nil
}

// pause stops the publishers, and returns when none waits for an answer.
func (t *traffic) pause(ctx context.Context) error {
	t.flows.Store(false)
	return await(ctx, "requests end", func() error {
		if n := t.waiting.Load(); n > 0 {
			return fmt.Errorf("%d wait", n)
		}
		return nil
	})
}

func (t *traffic) end() {
	t.cancel()
	t.wg.Wait()
}

// publisher publishes on one node while messages flow.
func (t *traffic) publisher(ctx context.Context, i int) {
	tick := time.NewTicker(publishEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if !t.flows.Load() {
			continue
		}
		if t.waiting.Load() > inFlightMax {
			continue // the table says how many messages there were
		}
		t.waiting.Add(1)
		t.wg.Go(func() {
			defer t.waiting.Add(-1)
			t.publishPlain(ctx, i, rates[i].plain)
		})
		for range rates[i].kept {
			t.waiting.Add(1)
			t.wg.Go(func() {
				defer t.waiting.Add(-1)
				t.publishKept(ctx, i)
			})
		}
	}
}

// offered is how many messages there have been.
func (t *traffic) offered() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.number
}

// text is a new message of node i: its number, the node, and when it is sent.
func (t *traffic) text(i int) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.number++
	return fmt.Sprintf("%d %d %d", t.number, i, time.Now().UnixNano())
}

// publishPlain publishes messages once. What the node has taken counts as published.
func (t *traffic) publishPlain(ctx context.Context, i, messages int) {
	type item struct {
		Topic string `json:"topic"`
		Data  string `json:"data"`
	}
	var items []item
	for range messages {
		items = append(items, item{plain, t.text(i)})
	}
	body, err := json.Marshal(items)
	if err != nil {
		panic(err) // strings always can be written
	}
	answer, err := t.post(ctx, i, "/v1/publish", body, "")
	var each []struct{ Error *json.RawMessage }
	if err != nil || json.Unmarshal(answer, &each) != nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, one := range each {
		if one.Error == nil {
			t.published[i]++
		}
	}
}

// publishKept publishes a message of a topic with history, until it is acknowledged. Where its node
// is dead, the next one takes it.
func (t *traffic) publishKept(ctx context.Context, i int) {
	text := t.text(i)
	for at := i; ctx.Err() == nil; {
		_, err := t.post(ctx, at, "/v1/topics/"+kept, []byte(text), text)
		if err == nil {
			t.mu.Lock()
			t.acked[text] = true
			t.mu.Unlock()
			return
		}
		if t.cluster.nodes[at].dead() {
			at = (at + 1) % len(t.cluster.nodes)
		}
		time.Sleep(retryPause)
	}
}

func (n *node) dead() bool {
	select {
	case <-n.run.Ended:
		return true
	default:
		return false
	}
}

func (t *traffic) post(ctx context.Context, i int, path string, body []byte, key string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+adminAddr+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "text/plain")
	if key != "" {
		request.Header.Set("Idempotency-Key", key)
	} else {
		request.Header.Set("Content-Type", "application/json")
	}
	answer, err := t.cluster.nodes[i].client.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", answer.Status, text)
	}
	return text, err
}

// run reads a topic's stream of events, and comes back when it ends, behind the last event.
func (s *subscriber) run(ctx context.Context, topic string) {
	last := ""
	for ctx.Err() == nil {
		at := s.traffic.cluster.nodes[s.at.Load()]
		if err := s.stream(ctx, at, topic, &last); err != nil && at.dead() {
			s.at.Store(int32((at.number + 1) % len(s.traffic.cluster.nodes)))
		}
		select {
		case <-ctx.Done():
		case <-time.After(retryPause):
		}
	}
}

func (s *subscriber) stream(ctx context.Context, at *node, topic string, last *string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+publicAddr+"/sse?"+url.Values{"topic": {topic}}.Encode(), nil)
	if err != nil {
		return err
	}
	if *last != "" && topic == kept {
		request.Header.Set("Last-Event-ID", *last)
	}
	answer, err := (&http.Client{Transport: at.client.Transport}).Do(request) // without a deadline: it goes on
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("events: %s", answer.Status)
	}
	lines := bufio.NewScanner(answer.Body)
	lines.Buffer(nil, eventBytesMax)
	kind := ""
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), ":")
		value = strings.TrimPrefix(value, " ")
		switch name {
		case "event":
			kind = value
		case "id":
			*last = value
		case "data":
			s.take(topic, kind, value)
		case "":
			kind = ""
		}
	}
	return io.ErrUnexpectedEOF
}

// take notes an event.
func (s *subscriber) take(topic, kind, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if kind == "reset" {
		s.resets++
		return
	}
	var number, from int
	var sent int64
	if n, err := fmt.Sscan(text, &number, &from, &sent); n != 3 || err != nil || from < 0 || from >= len(s.heard) {
		return
	}
	if topic == kept {
		if s.kept[text] {
			s.twice++
		}
		s.kept[text] = true
		return
	}
	s.heard[from]++
	if from != s.home && s.since > 0 && sent >= s.since && s.back == 0 {
		s.back = time.Now().UnixNano()
	}
}

func (s *subscriber) counts() (heard [3]int, kept int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.heard, len(s.kept)
}

// watch begins to wait for a message that is sent from now on.
func (t *traffic) watch(since time.Time) {
	for _, s := range t.subscribers {
		s.mu.Lock()
		s.since, s.back = since.UnixNano(), 0
		s.mu.Unlock()
	}
	for _, s := range t.sockets {
		s.watch(since)
	}
}

// backAfter is how long after watch a message came; less than 0: none has.
func (s *subscriber) backAfter() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.back == 0 {
		return -1
	}
	return time.Duration(s.back - s.since)
}
