// A player of random scripts, for the fuzz target of sessions.

package engineio

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"c100k/frame"
	"c100k/netpoll"
	"c100k/netpoll/netpolltest"
)

// player has a few connections, and the ids of the sessions that were opened last.
type player struct {
	*rig
	peers [8]*netpolltest.Peer
	sids  [4]string
	next  int
}

func newPlayer(t *testing.T, seed uint64) *player {
	cfg := config // with times so short that a script has many of them in it
	cfg.PingInterval, cfg.PingTimeout, cfg.UpgradeTimeout = time.Second, time.Second, time.Second
	p := &player{rig: newRig(t, seed, cfg)}
	for i := range p.sids {
		p.sids[i] = string(appendID(nil, &place{slot: uint32(i)}))
	}
	return p
}

// peer is a connection, made anew if it was ended.
func (p *player) peer(n byte) *netpolltest.Peer {
	i := int(n) % len(p.peers)
	if c := p.peers[i]; c == nil || c.Conn() == nil {
		p.peers[i] = p.Connect(roleHead)
	}
	return p.peers[i]
}

// act does one step; n chooses among its kinds.
func (p *player) act(what, n byte) {
	c, sid := p.peer(n), p.sids[n%4]
	version := fmt.Sprintf("EIO=%d", 4-n&1)
	switch what {
	case 0:
		c.Write(request("GET", version+"&transport=polling", "", ""))
	case 1:
		c.Write(p.frame("upgrade", version+"&transport=websocket"))
	case 2:
		c.Write(request("GET", version+"&transport=polling&sid="+sid, "", ""))
	case 3:
		body := []string{"4hello", "4!bye", "4!close", "1", "2", "3", "abc", "4!join room", "2:4x", "1:2", "6:b4AQID", "", "b", "\x1e", "4!attach x", "4a\x1e4b"}[n]
		c.Write(request("POST", version+"&transport=polling&sid="+sid, fmt.Sprintf("Content-Length:%d", len(body)), body))
	case 4:
		c.Write(request("POST", version+"&transport=polling&sid="+sid, "Transfer-Encoding:chunked", "3\r\n4he"))
	case 5:
		c.Write(p.frame("upgrade", version+"&transport=websocket&sid="+sid))
	case 6:
		text := []string{"2probe", "5", "4hello", "3", "2", "4!close", "4!bye", "1", "9", "", "b", "4!join room", "2probe", "5", "4!attach x", "6"}[n]
		c.Write(masked(frame.OpText, text))
	case 7:
		c.Write(masked(frame.OpBinary, string([]byte{n, 1, 2})))
	case 8:
		c.Write(masked(frame.OpClose, ""))
	case 9:
		p.Advance(time.Duration(n) * 100 * time.Millisecond)
	case 10:
		c.CloseWrite()
	case 11:
		c.Reset()
	case 12:
		if _, err := p.Hub.Publish("room", 0, []byte(strings.Repeat("y", int(n)*100))); err != nil {
			p.t.Fatal(err)
		}
	case 13:
		c.SetWindow(int(n) * 100)
	case 14:
		c.Write([]byte("r\n0\r\n\r\nGET / garbage"))
	case 15:
		p.Remote().PostTo(c.ID(), func(l *netpoll.Loop, c *netpoll.Conn) {
			if c.Role() == roleHead {
				return
			}
			if n&1 == 0 {
				p.e.Drain(l, c)
			} else {
				p.e.Kick(l, c)
			}
		})
	}
	if n&2 == 0 {
		p.Settle()
	}
	p.learn(c)
}

// learn finds ids in what was answered.
func (p *player) learn(c *netpolltest.Peer) {
	if _, rest, ok := strings.Cut(string(c.Read()), `"sid":"`); ok && len(rest) >= idChars {
		p.sids[p.next%len(p.sids)] = rest[:idChars]
		p.next++
	}
}

// finish lets everybody go, and holds that nothing is left.
func (p *player) finish() {
	for _, c := range p.peers {
		if c != nil {
			c.SetWindow(-1)
			c.CloseWrite()
		}
	}
	p.Settle()
	for waited := time.Duration(0); p.Len() > 0 && waited < 2*FarewellTimeout; waited += time.Second {
		p.Advance(time.Second)
	}
	if p.e.sessions.Len()+p.e.exchanges.Len()+p.e.queues.Len()+len(p.e.ready)+p.Len() != 0 {
		p.t.Fatalf("%d sessions, %d exchanges, %d queues, %d connections are left",
			p.e.sessions.Len(), p.e.exchanges.Len(), p.e.queues.Len(), p.Len())
	}
	opened, closed := 0, 0
	for _, line := range p.log {
		switch {
		case strings.HasPrefix(line, "opened"):
			opened++
		case strings.HasPrefix(line, "closed"):
			closed++
		}
	}
	if opened != closed {
		p.t.Fatalf("%d sessions were opened, %d closed: %q", opened, closed, p.log)
	}
	for _, r := range p.Reasons {
		if r == netpoll.ReasonPanic {
			p.t.Fatal("a handler panicked")
		}
	}
	if info, ok := p.Hub.Topic("room"); ok {
		p.t.Fatalf("the room has members: %+v", info)
	}
}

// Long scripts, as a fuzzer does not make them soon.
func TestRandomScripts(t *testing.T) {
	for seed := range uint64(scripts) {
		random := rand.New(rand.NewPCG(seed, 0))
		p := newPlayer(t, seed%5)
		var script []byte
		for range 150 {
			b := byte(random.Uint32())
			script = append(script, b)
			p.act(b>>4, b&0x0f)
		}
		p.finish()
		if t.Failed() {
			t.Fatalf("script %x, seed %d", script, seed%5)
		}
	}
}

const scripts = 100
