// Tests of the limits on sessions that poll: how many there are, how much they send, and what waits
// for them.

package engineio

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"c100k/frame"
	"c100k/internal/edge"
	"c100k/netpoll"
	"c100k/netpoll/netpolltest"
)

// limited is a rig whose clients have one address. a needs a limit by address.
func limited(t *testing.T, a *edge.Admission, cfg Config) *rig {
	t.Helper()
	cfg.Edge = &edge.Config{Admission: a}
	tag, ok := a.Admit(netip.MustParseAddr("192.0.2.1"))
	if !ok || tag == 0 {
		t.Fatalf("tag %d", tag)
	}
	r := newRig(t, 0, cfg)
	r.tag = tag
	return r
}

// shake asks for one session more, and returns the answer.
func (r *rig) shake() string {
	p := r.Connect(roleHead)
	defer p.Reset()
	return r.ask(p, request("GET", "EIO=4&transport=polling", "", ""))
}

// A client opens as many sessions as it may have connections, however often it asks; each that ends
// makes room for another.
func TestSessionsAreAdmitted(t *testing.T) {
	a := &edge.Admission{Max: 1000, MaxPerAddr: 4}
	r := limited(t, a, config)
	opened := 0
	for range 1000 {
		switch answer := r.shake(); {
		case strings.HasPrefix(answer, "HTTP/1.1 200"):
			opened++
		case !strings.HasPrefix(answer, "HTTP/1.1 429") || !strings.Contains(answer, "--max-conns-per-ip"):
			t.Fatalf("answered %q", answer)
		}
	}
	if opened != 4 || a.Sessions() != 4 {
		t.Fatalf("%d opened, %d counted", opened, a.Sessions())
	}
	r.Remote().Post(func(l *netpoll.Loop) {
		r.e.Each(l, func(s *Session) bool {
			r.e.Close(l, s, ReasonForcedClose, codeNone, "")
			return true
		})
	})
	r.Settle()
	r.Advance(FarewellTimeout + RefusalLinger)
	if a.Sessions() != 0 || len(r.e.holders) != 0 {
		t.Errorf("%d sessions are counted at the end, %d records", a.Sessions(), len(r.e.holders))
	}
	if answer := r.shake(); !strings.HasPrefix(answer, "HTTP/1.1 200") {
		t.Errorf("answered %q", answer)
	}
}

// In all there are as many sessions as there may be connections.
func TestSessionsInAll(t *testing.T) {
	r := limited(t, &edge.Admission{Max: 2, MaxPerAddr: 9}, config)
	r.shake()
	r.shake()
	if answer := r.shake(); !strings.HasPrefix(answer, "HTTP/1.1 503") || !strings.Contains(answer, "--max-conns") {
		t.Errorf("answered %q", answer)
	}
}

// A session that upgrades is counted as its connection from then on, and not twice.
func TestUpgradedSessionIsReleased(t *testing.T) {
	a := &edge.Admission{MaxPerAddr: 1}
	r := limited(t, a, config)
	sid, _ := r.open("EIO=4")
	if answer := r.shake(); !strings.HasPrefix(answer, "HTTP/1.1 429") {
		t.Fatalf("answered %q", answer)
	}
	w := r.Connect(roleHead)
	w.Write(r.frame("upgrade", "EIO=4&transport=websocket&sid="+sid))
	w.Write(masked(frame.OpText, "2probe"))
	r.Settle()
	if a.Sessions() != 1 {
		t.Errorf("%d sessions while the upgrade is under way", a.Sessions())
	}
	w.Write(masked(frame.OpText, "5"))
	r.Settle()
	if a.Sessions() != 0 {
		t.Errorf("%d sessions behind the upgrade", a.Sessions())
	}
	if answer := r.shake(); !strings.HasPrefix(answer, "HTTP/1.1 200") {
		t.Errorf("answered %q", answer)
	}
	w.Reset()
	r.Settle()
	if a.Sessions() != 1 {
		t.Errorf("%d sessions at the end", a.Sessions())
	}
}

// The rate holds for the sessions of an address together, and opening one counts.
func TestRateOfAnAddress(t *testing.T) {
	cfg := config
	cfg.Rate, cfg.RateBurst = 1, 10
	a := &edge.Admission{MaxPerAddr: 100}
	r := limited(t, a, cfg)
	var sids []string
	var peers []*netpolltest.Peer
	for range 4 {
		sid, p := r.open("EIO=4")
		sids, peers = append(sids, sid), append(peers, p)
	}
	heard := 0
	for i, sid := range sids {
		r.post(peers[i], sid, "4!mute\x1e4!mute\x1e4!mute")
	}
	for _, line := range r.log {
		if line == "text !mute" {
			heard++
		}
	}
	if heard != 6 {
		t.Errorf("%d messages were taken beside 4 handshakes, want 6", heard)
	}
	for range 5 {
		if answer := r.shake(); !strings.HasPrefix(answer, "HTTP/1.1 429") || !strings.Contains(answer, "--rate") {
			t.Errorf("answered %q", answer)
		}
	}
}

// What nobody fetches stays within the outbox, and is counted: answers of the layer above, and
// pongs.
func TestUnfetchedStaysInOutbox(t *testing.T) {
	const outbox, sessions = 64 << 10, 20
	for name, tt := range map[string]struct{ query, body string }{
		"echoes": {"EIO=4", "4x" + strings.Repeat("\x1e4"+strings.Repeat("x", 50), 300)},
		"pongs":  {"EIO=3", strings.Repeat("1:2", 5000)},
	} {
		cfg := config
		cfg.OutboxBytesMax, cfg.PayloadBytesMax = outbox, 20_000
		r := limited(t, &edge.Admission{MaxPerAddr: 100}, cfg)
		most := int64(0)
		for range sessions {
			sid, p := r.open(tt.query)
			for range 10 {
				r.ask(p, request("POST", tt.query+"&transport=polling&sid="+sid, fmt.Sprintf("Content-Length:%d", len(tt.body)), tt.body))
				most = max(most, r.e.QueuedBytes())
			}
		}
		if most > outbox || most < outbox/2 {
			t.Errorf("%s: at most %d bytes were queued", name, most)
		}
		slow := 0
		for _, line := range r.log {
			if line == "closed "+ReasonSlow.String() {
				slow++
			}
		}
		if slow != sessions || r.e.QueuedBytes() != 0 {
			t.Errorf("%s: %d sessions ended, %d bytes are counted", name, slow, r.e.QueuedBytes())
		}
	}
}
