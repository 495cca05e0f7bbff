// Clients of Socket.IO: one on each of the five servers. The servers on Node emit.

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"c100k/internal/netlab"
	"c100k/websocket"
)

// socket is a client of Socket.IO. Its server is number home: three c100k nodes, then two on Node.
type socket struct {
	home int

	mu      sync.Mutex           // guards the fields below
	ticks   map[int]map[int]bool // numbers of the events that came, by the server that emitted them
	settled map[string]bool      // words of c100k emit that came
	since   int64                // see subscriber
	back    int64
}

// join connects a client to the server of a machine.
func (t *traffic) join(ctx context.Context, h *netlab.Host, home int) error {
	s := &socket{home: home, ticks: map[int]map[int]bool{}, settled: map[string]bool{}}
	t.sockets = append(t.sockets, s)
	began := make(chan struct{})
	var once sync.Once
	t.wg.Go(func() {
		for ctx.Err() == nil {
			_ = s.talk(ctx, h, func() { once.Do(func() { close(began) }) }) // it is tried again
			select {
			case <-ctx.Done():
			case <-time.After(retryPause):
			}
		}
	})
	select {
	case <-began:
		return nil
	case <-time.After(patience):
		return fmt.Errorf("the client of Socket.IO on %s does not connect", h.Name)
	}
}

// talk speaks Engine.IO 4 and Socket.IO 5 over one WebSocket, until it ends.
func (s *socket) talk(ctx context.Context, h *netlab.Host, began func()) error {
	var c *websocket.Client
	err := h.On(func() (err error) {
		c, err = websocket.Dial(ctx, "ws://"+publicAddr+"/socket.io/?EIO=4&transport=websocket", nil)
		return err
	})
	if err != nil {
		return err
	}
	defer c.Terminate()
	say := func(text string) error {
		return c.Write(ctx, websocket.TextMessage(text))
	}
	for {
		m, err := c.Read(ctx)
		if err != nil {
			return err
		}
		text := string(m.Data)
		switch {
		case strings.HasPrefix(text, "0"): // open
			err = say("40")
		case text == "2": // ping
			err = say("3")
		case strings.HasPrefix(text, "40"): // connected
			began()
		case strings.HasPrefix(text, "42"):
			s.take(text[2:])
		case strings.HasPrefix(text, "41"), strings.HasPrefix(text, "44"), text == "1":
			err = errors.New("the server ends it")
		}
		if err != nil {
			return err
		}
	}
}

// take notes an event: ["tick", server, number, milliseconds] or ["settled", word].
func (s *socket) take(text string) {
	var event []json.RawMessage
	var name, word string
	if json.Unmarshal([]byte(text), &event) != nil || len(event) < 2 || json.Unmarshal(event[0], &name) != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case name == "settled" && json.Unmarshal(event[1], &word) == nil:
		s.settled[word] = true
	case name == "tick" && len(event) >= 4: // c100k adds a string by which a client comes back
		var from, number int
		var sent int64
		if json.Unmarshal(event[1], &from) != nil || json.Unmarshal(event[2], &number) != nil || json.Unmarshal(event[3], &sent) != nil {
			return
		}
		if s.ticks[from] == nil {
			s.ticks[from] = map[int]bool{}
		}
		s.ticks[from][number] = true
		if from != s.home && s.since > 0 && sent*1e6 >= s.since && s.back == 0 {
			s.back = time.Now().UnixNano()
		}
	}
}

func (s *socket) watch(since time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.since, s.back = since.UnixNano(), 0
}

func (s *socket) backAfter() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.back == 0 {
		return -1
	}
	return time.Duration(s.back - s.since)
}

// highest is the number of the latest event that a server has emitted, as its own client sees it.
func (s *socket) highest() (number int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for n := range s.ticks[s.home] {
		number = max(number, n)
	}
	return number
}

// between counts the events of a server that came, of those with numbers above first, to last.
func (s *socket) between(server, first, last int) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for number := range s.ticks[server] {
		if number > first && number <= last {
			n++
		}
	}
	return n
}

// allHear is nil when each client has heard both servers on Node.
func (t *traffic) allHear() error {
	for _, s := range t.sockets {
		for i := range t.cluster.socketio {
			server := i + len(t.cluster.nodes)
			if s.between(server, 0, 1<<62) == 0 {
				return fmt.Errorf("the client of server %d has heard nothing of server %d", s.home+1, server+1)
			}
		}
	}
	return nil
}

// emit emits with `c100k emit`, and counts the clients that it reaches in time.
func (t *traffic) emit(word string) (reached int, err error) {
	c := t.cluster
	text, err := c.nodes[0].Command(c.binary, "emit", "settled", word, "--redis", c.url).CombinedOutput()
	if err != nil {
		return 0, fmt.Errorf("c100k emit: %w: %s", err, text)
	}
	for giveUp := time.Now().Add(emitWait); reached < len(t.sockets) && time.Now().Before(giveUp); time.Sleep(pollPause) {
		reached = 0
		for _, s := range t.sockets {
			s.mu.Lock()
			if s.settled[word] {
				reached++
			}
			s.mu.Unlock()
		}
	}
	return reached, nil
}

// emitWait bounds how long an event may take to all clients.
const emitWait = 5 * time.Second
