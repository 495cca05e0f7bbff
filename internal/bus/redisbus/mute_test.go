// A script that speaks as Redis does, says OK to everything, and may deliver nothing.

package redisbus

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
	conns map[net.Conn]map[string]bool // channels of each
}

func startScript(t *testing.T) *script {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &script{ln: ln, conns: make(map[net.Conn]map[string]bool)}
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
	s.conns[c] = make(map[string]bool)
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		delete(s.conns, c)
		s.mu.Unlock()
		c.Close()
	}()
	r := bufio.NewReader(c)
	for {
		args, err := readCommand(r)
		if err != nil {
			return
		}
		if err := s.answer(c, args); err != nil {
			return
		}
	}
}

func (s *script) answer(c net.Conn, args []string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	text := "+OK\r\n"
	switch strings.ToUpper(args[0]) {
	case "HELLO":
		text = "%3\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$6\r\n7.0.15\r\n$5\r\nproto\r\n:3\r\n"
	case "PING":
		text = "+PONG\r\n"
	case "SUBSCRIBE":
		text = ""
		for _, channel := range args[1:] {
			s.conns[c][channel] = true
			text += fmt.Sprintf(">3\r\n$9\r\nsubscribe\r\n$%d\r\n%s\r\n:1\r\n", len(channel), channel)
		}
	case "PUBLISH":
		text = ":2\r\n"
		for to, channels := range s.conns {
			if !s.mute && channels[args[1]] {
				message := fmt.Sprintf(">3\r\n$7\r\nmessage\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n", len(args[1]), args[1], len(args[2]), args[2])
				if _, err := io.WriteString(to, message); err != nil {
					continue // its own goroutine finds out
				}
			}
		}
	}
	_, err := io.WriteString(c, text)
	return err
}

// readCommand reads an array of bulk strings.
func readCommand(r *bufio.Reader) ([]string, error) {
	n, err := readLength(r, '*')
	if err != nil {
		return nil, err
	}
	args := make([]string, n)
	for i := range args {
		size, err := readLength(r, '$')
		if err != nil {
			return nil, err
		}
		text := make([]byte, size+2)
		if _, err := io.ReadFull(r, text); err != nil {
			return nil, err
		}
		args[i] = string(text[:size])
	}
	return args, nil
}

func readLength(r *bufio.Reader, typ byte) (int, error) {
	line, err := r.ReadString('\n')
	if err != nil || line[0] != typ {
		return 0, io.ErrUnexpectedEOF
	}
	return strconv.Atoi(strings.TrimSpace(line[1:]))
}

func TestProof(t *testing.T) {
	s := startScript(t)
	url := "redis://" + s.ln.Addr().String()
	bustest.Proof(t, func() bus.Bus { return join(t, url, "node") }, s.setMute)
}
