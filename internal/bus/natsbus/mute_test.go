// A script that speaks as NATS does, answers every PING, and may deliver nothing.

package natsbus

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"

	"c100k/internal/bus"
	"c100k/internal/bus/bustest"
)

// script is the server.
type script struct {
	ln net.Listener
	wg sync.WaitGroup

	mu    sync.Mutex // guards the fields below
	mute  bool
	conns map[net.Conn]map[string]string // subscriptions of each: subject to its number
}

func startScript(t *testing.T) *script {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &script{ln: ln, conns: make(map[net.Conn]map[string]string)}
	s.wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			s.wg.Go(func() { s.serve(c) })
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

func (s *script) setMute(yes bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mute = yes
}

// serve answers the commands of one client.
func (s *script) serve(c net.Conn) {
	s.mu.Lock()
	s.conns[c] = make(map[string]string)
	_, err := io.WriteString(c, `INFO {"server_id":"s","version":"2.10.0","proto":1,"headers":false,"max_payload":1048576}`+"\r\n")
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		delete(s.conns, c)
		s.mu.Unlock()
		c.Close()
	}()
	for r := bufio.NewReader(c); err == nil; {
		var line string
		if line, err = r.ReadString('\n'); err == nil {
			err = s.answer(c, r, strings.Fields(line))
		}
	}
}

// answer does what a command says: CONNECT, PING, PONG, SUB, UNSUB and PUB.
func (s *script) answer(c net.Conn, r *bufio.Reader, words []string) error {
	if len(words) == 0 {
		return nil
	}
	switch strings.ToUpper(words[0]) {
	case "PING":
		s.mu.Lock()
		defer s.mu.Unlock()
		_, err := io.WriteString(c, "PONG\r\n")
		return err
	case "SUB":
		s.mu.Lock()
		defer s.mu.Unlock()
		s.conns[c][words[1]] = words[len(words)-1]
	case "PUB":
		size, err := strconv.Atoi(words[len(words)-1])
		if err != nil {
			return err
		}
		payload := make([]byte, size+2)
		if _, err := io.ReadFull(r, payload); err != nil {
			return err
		}
		s.deliver(c, words[1], payload)
	}
	return nil
}

// deliver brings a message to all but its sender, as the option no_echo wants it.
func (s *script) deliver(from net.Conn, subject string, payload []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for to, subjects := range s.conns {
		if number := subjects[subject]; number != "" && to != from && !s.mute {
			// Where it fails, the goroutine of that connection finds out.
			_, _ = fmt.Fprintf(to, "MSG %s %s %d\r\n%s", subject, number, len(payload)-2, payload)
		}
	}
}

func TestProof(t *testing.T) {
	s := startScript(t)
	url := "nats://" + s.ln.Addr().String()
	bustest.Proof(t, func() bus.Bus { return join(t, url, "node") }, s.setMute)
}
