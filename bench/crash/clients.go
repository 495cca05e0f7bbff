// The clients: publishers that try again until they have an acknowledgement, and subscribers that
// come back.

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

const (
	// patience bounds each wait for the node.
	patience = 30 * time.Second
	// askTimeout bounds a request of a publisher.
	askTimeout = 30 * time.Second
	// retryPause is the time between two tries.
	retryPause = 2 * time.Millisecond
	// eventBytesMax bounds a line of a stream of events, in bytes.
	eventBytesMax = 64 << 10
)

// message is one that was acknowledged, or that has come.
type message struct{ payload, offset string }

// publisher publishes to one topic, one message after the other.
type publisher struct {
	*trial
	number  int
	acked   []message
	retried int
}

func (p *publisher) topic() int { return p.number % p.topics }

// run publishes until the trial ends. A message that was begun is seen through.
func (p *publisher) run(ctx context.Context) {
	client := &http.Client{Timeout: askTimeout}
	defer client.CloseIdleConnections()
	for i := 0; ctx.Err() == nil; i++ {
		select {
		case <-p.end:
			return
		default:
		}
		payload := fmt.Sprintf("%d-%d", p.number, i)
		for {
			offset, err := p.publish(ctx, client, payload)
			if err == nil {
				p.acked = append(p.acked, message{payload, offset})
				p.acknowledged.Add(1)
				break
			}
			p.retried++
			if pause(ctx, retryPause) != nil {
				return
			}
		}
	}
}

func (p *publisher) publish(ctx context.Context, client *http.Client, payload string) (offset string, err error) {
	url := fmt.Sprintf("http://%s/v1/topics/crash.%d", p.node.Load().Admin, p.topic())
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(payload))
	if err != nil {
		return "", err
	}
	request.Header.Set("Content-Type", "text/plain")
	request.Header.Set("Idempotency-Key", payload)
	response, err := client.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	var answer struct{ Offset, Durable string }
	if err := json.NewDecoder(io.LimitReader(response.Body, eventBytesMax)).Decode(&answer); err != nil {
		return "", err
	}
	if response.StatusCode != http.StatusOK || answer.Offset == "" || answer.Durable != "file" {
		return "", fmt.Errorf("%s, %+v", response.Status, answer)
	}
	return answer.Offset, nil
}

// subscriber hears one topic, and comes back with the id of the last event.
type subscriber struct {
	*trial
	topic int
	began chan struct{} // closed when it has heard its first event
	once  sync.Once

	id      string // of the last event
	resumed int
	resets  int

	mu   sync.Mutex // guards the fields below
	got  []message
	seen map[string]bool
}

func newSubscriber(t *trial, topic int) *subscriber {
	return &subscriber{trial: t, topic: topic, began: make(chan struct{}), seen: map[string]bool{}}
}

func (s *subscriber) has(payload string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen[payload]
}

func (s *subscriber) run(ctx context.Context) {
	for ctx.Err() == nil {
		_ = s.listen(ctx) // it ends when the node does
		if pause(ctx, retryPause) != nil {
			return
		}
	}
}

// listen hears one stream to its end.
func (s *subscriber) listen(ctx context.Context) error {
	url := fmt.Sprintf("http://%s/sse?topic=crash.%d", s.node.Load().Public, s.topic)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	if s.id != "" {
		request.Header.Set("Last-Event-ID", s.id)
	}
	response, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s", response.Status)
	}
	if s.id != "" {
		s.resumed++
	}
	lines := bufio.NewScanner(response.Body)
	lines.Buffer(nil, eventBytesMax)
	var id, event, data string
	for lines.Scan() {
		switch name, value, _ := strings.Cut(lines.Text(), ": "); name {
		case "id":
			id = value
		case "event":
			event = value
		case "data":
			data = value
		case "":
			s.hear(id, event, data)
			id, event, data = "", "", ""
		}
	}
	return lines.Err()
}

// hear takes an event.
func (s *subscriber) hear(id, event, data string) {
	switch event {
	case "message":
		s.mu.Lock()
		s.got = append(s.got, message{data, id})
		s.seen[data] = true
		s.mu.Unlock()
	case "reset", "gap":
		s.resets++
	}
	if id != "" {
		s.id = id
		s.once.Do(func() { close(s.began) })
	}
}
