// A script: a server that a test plays, which may deliver nothing.

package bustest

import (
	"io"
	"net"
	"sync"
	"testing"
)

// Script is a server with as much of a protocol as a bus needs. It answers all commands of its
// clients; while it is mute it brings them no messages. Any goroutine.
type Script struct {
	ln net.Listener
	wg sync.WaitGroup

	mu    sync.Mutex // guards the fields below, and writes to the connections
	mute  bool
	conns map[net.Conn]map[string]string // subscriptions of each: what to, and the number of it
}

// StartScript runs one until the test ends. serve speaks with one client, until the connection or
// what it says ends that.
func StartScript(t *testing.T, serve func(s *Script, c net.Conn) error) *Script {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &Script{ln: ln, conns: make(map[net.Conn]map[string]string)}
	s.wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.conns[c] = make(map[string]string)
			s.mu.Unlock()
			s.wg.Go(func() {
				_ = serve(s, c) // a client that leaves is no failure
				s.mu.Lock()
				delete(s.conns, c)
				s.mu.Unlock()
				c.Close()
			})
		}
	})
	t.Cleanup(func() {
		ln.Close()
		s.mu.Lock()
		for c := range s.conns {
			c.Close()
		}
		s.mu.Unlock()
		s.wg.Wait()
	})
	return s
}

// Addr is where it listens.
func (s *Script) Addr() string { return s.ln.Addr().String() }

// SetMute has it deliver nothing, or again.
func (s *Script) SetMute(yes bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mute = yes
}

// Subscribe notes what a client wants to hear, and the number that the protocol gives it.
func (s *Script) Subscribe(c net.Conn, to, number string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conns[c][to] = number
}

// Say writes an answer to a client.
func (s *Script) Say(c net.Conn, text string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, err := io.WriteString(c, text)
	return err
}

// Deliver brings a message to all who have subscribed to something. message is its text for one of
// them; "" leaves that one out.
func (s *Script) Deliver(to string, message func(c net.Conn, number string) string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c, subscriptions := range s.conns {
		if number, has := subscriptions[to]; has && !s.mute {
			_, _ = io.WriteString(c, message(c, number)) // where it fails, the client's own goroutine finds out
		}
	}
}
