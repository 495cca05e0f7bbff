// A script that speaks as Redis does, says OK to everything, and may deliver nothing.

package redisbus

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"

	"c100k/internal/bus"
	"c100k/internal/bus/bustest"
)

// speakRedis answers the commands of one client.
func speakRedis(s *bustest.Script, c net.Conn) error {
	for r := bufio.NewReader(c); ; {
		args, err := readCommand(r)
		if err != nil {
			return err
		}
		text := "+OK\r\n"
		switch strings.ToUpper(args[0]) {
		case "HELLO":
			text = "%3\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$6\r\n7.0.15\r\n$5\r\nproto\r\n:3\r\n"
		case "PING":
			text = "+PONG\r\n"
		case "SUBSCRIBE":
			text = ""
			for _, channel := range args[1:] {
				s.Subscribe(c, channel, "")
				text += fmt.Sprintf(">3\r\n$9\r\nsubscribe\r\n$%d\r\n%s\r\n:1\r\n", len(channel), channel)
			}
		case "PUBLISH":
			text = ":2\r\n"
			message := fmt.Sprintf(">3\r\n$7\r\nmessage\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n", len(args[1]), args[1], len(args[2]), args[2])
			s.Deliver(args[1], func(net.Conn, string) string { return message })
		}
		if err := s.Say(c, text); err != nil {
			return err
		}
	}
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
	s := bustest.StartScript(t, speakRedis)
	url := "redis://" + s.Addr()
	bustest.Proof(t, func() bus.Bus { return join(t, url, "node") }, s.SetMute)
}
