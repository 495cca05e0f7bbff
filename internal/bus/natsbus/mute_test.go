// A script that speaks as NATS does, answers every PING, and may deliver nothing.

package natsbus

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

// speakNATS answers the commands of one client.
func speakNATS(s *bustest.Script, c net.Conn) error {
	err := s.Say(c, `INFO {"server_id":"s","version":"2.10.0","proto":1,"headers":false,"max_payload":1048576}`+"\r\n")
	for r := bufio.NewReader(c); err == nil; {
		var line string
		if line, err = r.ReadString('\n'); err == nil {
			err = answer(s, c, r, strings.Fields(line))
		}
	}
	return err
}

// answer does what a command says: CONNECT, PING, PONG, SUB, UNSUB and PUB.
func answer(s *bustest.Script, c net.Conn, r *bufio.Reader, words []string) error {
	if len(words) == 0 {
		return nil
	}
	switch strings.ToUpper(words[0]) {
	case "PING":
		return s.Say(c, "PONG\r\n")
	case "SUB":
		s.Subscribe(c, words[1], words[len(words)-1])
	case "PUB":
		size, err := strconv.Atoi(words[len(words)-1])
		if err != nil {
			return err
		}
		payload := make([]byte, size+2)
		if _, err := io.ReadFull(r, payload); err != nil {
			return err
		}
		s.Deliver(words[1], func(to net.Conn, number string) string {
			if to == c { // the option no_echo wants it
				return ""
			}
			return fmt.Sprintf("MSG %s %s %d\r\n%s", words[1], number, size, payload)
		})
	}
	return nil
}

func TestProof(t *testing.T) {
	s := bustest.StartScript(t, speakNATS)
	bustest.Proof(t, func() bus.Bus { return join(t, "nats://"+s.Addr(), "node") }, s.SetMute)
}
