// The attacks, one for each way in which a stranger could hold what others need.

package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"time"

	"c100k/bench/rig"
)

// attack is what one connection does until the node ends it.
type attack struct {
	name, title string
	weight      int  // share of the connections
	admin       bool // on the admin port
	oneAddress  bool // all come from one address
	do          func(s *stranger, c net.Conn)
}

func attacks() []attack {
	return []attack{
		{name: "polls", title: "sessions that poll, with commands and topics, and fetch nothing", weight: 2, do: polls},
		{name: "publishes", title: "publishes without a key and without their body", weight: 3, do: publishes},
		{name: "bodies", title: "requests whose body does not come", weight: 4, do: bodies},
		{name: "frames", title: "frames of 65,000 bytes without their end", weight: 8, do: frames},
		{name: "flood", title: "one address with more connections than it may have", weight: 6, oneAddress: true, do: idle},
		{name: "admin", title: "the admin port: silent connections, and keys that are guessed", weight: 1, admin: true, do: guess},
	}
}

func allAttacks() string {
	return strings.Join(rig.Names(attacks(), func(a attack) string { return a.name }), ",")
}

func attackOf(name string) (attack, error) {
	chosen, err := rig.Choose("attack", attacks(), func(a attack) string { return a.name }, name)
	if err != nil {
		return attack{}, err
	}
	return chosen[0], nil
}

// hold reads until the node ends the connection.
func hold(c net.Conn) { _, _ = io.Copy(io.Discard, c) }

// polls opens sessions on one connection, one after the other, and has each subscribe to topics of
// its own; it never fetches the answers.
func polls(s *stranger, c net.Conn) {
	in := bufio.NewReader(c)
	ask := func(method, query, body string) (string, bool) {
		_ = c.SetReadDeadline(time.Now().Add(connectTimeout))
		if !s.write(c, fmt.Appendf(nil, "%s /socket.io/?EIO=4&transport=polling%s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s",
			method, query, len(body), body)) {
			return "", false
		}
		r, err := http.ReadResponse(in, nil)
		if err != nil {
			return "", false
		}
		defer r.Body.Close()
		text, err := io.ReadAll(io.LimitReader(r.Body, 64<<10))
		return string(text), err == nil
	}
	for {
		open, ok := ask("GET", "", "")
		if !ok {
			return
		}
		_, behind, _ := strings.Cut(open, `"sid":"`)
		sid, _, found := strings.Cut(behind, `"`)
		if !found {
			return // refused
		}
		var commands []string
		for i := range 50 {
			commands = append(commands, fmt.Sprintf(`42%d["subscribe","news"]`, i))
		}
		for _, body := range []string{"40", strings.Join(commands, "\x1e")} {
			if _, ok := ask("POST", "&sid="+sid, body); !ok {
				return
			}
		}
		time.Sleep(200*time.Millisecond + rand.N(time.Second))
	}
}

// publishes announces a body that does not come, without a key.
func publishes(s *stranger, c net.Conn) {
	if s.write(c, []byte("POST /v1/publish HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n")) {
		hold(c)
	}
}

// bodies announces a body for net/http that does not come.
func bodies(s *stranger, c net.Conn) {
	if s.write(c, []byte("POST /somewhere HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\n")) {
		hold(c)
	}
}

// frames holds one unfinished frame.
func frames(s *stranger, c net.Conn) {
	if !s.write(c, []byte("GET /echo HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n")) {
		return
	}
	_ = c.SetReadDeadline(time.Now().Add(connectTimeout))
	in := bufio.NewReader(c)
	r, err := http.ReadResponse(in, nil)
	if err != nil || r.StatusCode != http.StatusSwitchingProtocols {
		return
	}
	_ = c.SetReadDeadline(time.Time{})
	const size = 65000
	head := []byte{0x81, 0x80 | 126, 0, 0, 0, 0, 0, 0}
	binary.BigEndian.PutUint16(head[2:], size)
	if s.write(c, append(head, bytes.Repeat([]byte("x"), size-1)...)) {
		hold(c)
	}
}

// idle says nothing.
func idle(_ *stranger, c net.Conn) { hold(c) }

// guess tries a key, or says nothing, as every second stranger does.
func guess(s *stranger, c net.Conn) {
	if s.number%2 == 0 {
		if !s.write(c, fmt.Appendf(nil, "GET /v1/stats HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer %016x\r\n\r\n", rand.Uint64())) {
			return
		}
	}
	hold(c)
}
