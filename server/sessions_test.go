// Tests of what clients that poll may hold on a node: sessions, what they do not fetch, and topics.

package server

import (
	"fmt"
	"strings"
	"testing"

	"c100k/internal/figures"
)

// A counter that appears with its first event has no rate for it.
func TestCountersBeginAtZero(t *testing.T) {
	s, err := New(Config{Loops: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Shutdown(t.Context())
	stats := (adminNode{s}).Stats()
	if n, there := stats.At("handshakes_rejected_total").Family["origin"]; !there || n != 0 {
		t.Errorf("refused for their origin: %v, %v", n, there)
	}
	for _, reason := range []string{"peer", "drain", "slow_consumer"} {
		if n, there := stats.At("connections.closed_total").Families["websocket"][reason]; !there || n != 0 {
			t.Errorf("closed with %s: %v, %v", reason, n, there)
		}
	}
}

// One client that only ever shakes hands gets as many sessions as it may have connections.
func TestHandshakesAreLimited(t *testing.T) {
	s := start(t, Config{Dev: true, Loops: 2, MaxConns: 1000, MaxConnsPerIP: 4})
	url := "http://" + s.Addr().String() + sioPath + "?EIO=4&transport=polling"
	opened := 0
	for range 300 {
		switch status, body := text(t, "GET", url, ""); status {
		case 200:
			opened++
		case 429:
		default:
			t.Fatalf("%d %s", status, body)
		}
	}
	if opened != 4 || s.admission.Sessions() != 4 {
		t.Errorf("%d sessions were opened, %d are counted", opened, s.admission.Sessions())
	}
	counted := (adminNode{s}).Stats().At("handshakes_rejected_total").Family["per_address"]
	if refused := (adminNode{s}).Stats().At("connections.refused_total").Family["address"]; refused < 296 || counted != refused {
		t.Errorf("%v refusals are counted by limit, %v by reason", refused, counted)
	}
}

// Acknowledgements that nobody fetches stay within the outbox, are counted, and end the session.
func TestUnfetchedAcknowledgements(t *testing.T) {
	const sessions, outbox = 100, 64 << 10
	s := start(t, Config{Dev: true, Loops: 2, Outbox: outbox, MaxMessage: outbox})
	body := "420" + `["subscribe","x"]` + strings.Repeat("\x1e420"+`["subscribe","x"]`, 1999)
	base := "http://" + s.Addr().String()
	most := 0.0
	for range sessions {
		url := poller(t, base)
		text(t, "POST", url, body)
		eventually(t, "what is not fetched is counted", func() bool { return (adminNode{s}).Stats().Number("queues.outbox_bytes") > 30_000 })
		most = max(most, (adminNode{s}).Stats().Number("queues.outbox_bytes"))
		text(t, "POST", url, body)
		eventually(t, "nothing is left", func() bool { return (adminNode{s}).Stats().Number("queues.outbox_bytes") == 0 })
	}
	if most > outbox {
		t.Errorf("%v bytes waited", most)
	}
	if n := (adminNode{s}).Stats().At(figures.KeyClosed).Families["socketio"]["slow_consumer"]; n != sessions {
		t.Errorf("%v of %d sessions ended as slow", n, sessions)
	}
}

// The names of a client's topics are bounded in bytes.
func TestTopicNamesOfAClient(t *testing.T) {
	const sessions = 5
	s := start(t, Config{PublicTopics: []string{">"}, Loops: 2})
	for client := range sessions {
		url := poller(t, "http://"+s.Addr().String())
		refused := 0
		for i := range 200 {
			text(t, "POST", url, fmt.Sprintf(`420["subscribe","%03d%0252d"]`, client, i))
			if _, said := text(t, "GET", url, ""); strings.Contains(said, `"code":"too_many_topics"`) {
				refused++
			}
		}
		if refused != 136 {
			t.Errorf("%d of 200 names of 255 bytes were refused", refused)
		}
	}
	if n := s.node.Hub().TopicCount(); n != 64*sessions {
		t.Errorf("%d topics", n)
	}
}
