// The packets of moves: what goes in comes out, and nothing else is taken for one.

package workers

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"c100k/server"
)

// someMoves are moves of all kinds.
var someMoves = []move{
	{worker: 2, Handover: server.Handover{Loop: 1, First: []byte("GET / HTTP/1.1\r\n\r\n")}},
	{worker: 63, Handover: server.Handover{Loop: 255, First: []byte("G"), Client: netip.MustParseAddr("192.0.2.1")}},
	{worker: 0, Handover: server.Handover{First: []byte{0}, Client: netip.MustParseAddr("2001:db8::")}, back: true},
	{worker: 5, Handover: server.Handover{First: []byte("\r\n"), Client: netip.IPv6Unspecified(), Forwarded: true}},
	{worker: 1, Handover: server.Handover{First: bytes.Repeat([]byte("x"), server.HandoverBytesMax), Forwarded: true}},
}

var sameAddr = cmp.Comparer(func(a, b netip.Addr) bool { return a == b })

func TestMovePacket(t *testing.T) {
	for i := range someMoves {
		packet := appendMove([]byte("before"), &someMoves[i])[len("before"):]
		got, err := parseMove(packet)
		if err != nil {
			t.Errorf("move %d: %v", i, err)
			continue
		}
		clear(packet) // nothing of it is kept
		if diff := cmp.Diff(&someMoves[i], got, cmp.AllowUnexported(move{}), sameAddr); diff != "" {
			t.Errorf("move %d: %s", i, diff)
		}
	}
}

func TestMovePacketRefused(t *testing.T) {
	good := string(appendMove(nil, &someMoves[1]))
	for name, packet := range map[string]string{
		"empty":                   "",
		"no first byte":           good[:packetFirstAt],
		"cut off":                 good[:packetFirstAt-1],
		"a connection":            "\x00" + good[1:],
		"of no kind":              "\x03" + good[1:],
		"a worker too many":       good[:1] + "\x40" + good[2:],
		"an unknown flag":         good[:3] + "\x04" + good[4:],
		"an address without flag": good[:3] + "\x00" + good[4:],
		"too long":                good + strings.Repeat("x", server.HandoverBytesMax),
	} {
		if m, err := parseMove([]byte(packet)); err == nil {
			t.Errorf("%s: taken for %+v", name, m)
		}
	}
	if _, err := parseMove([]byte(good)); err != nil {
		t.Error(err)
	}
}

// FuzzMove holds that what is taken for a packet is one that we would write.
func FuzzMove(f *testing.F) {
	for i := range someMoves[:4] {
		f.Add(appendMove(nil, &someMoves[i]))
	}
	f.Add([]byte{packetDial})
	f.Fuzz(func(t *testing.T, packet []byte) {
		m, err := parseMove(packet)
		if err != nil {
			return
		}
		if again := appendMove(nil, m); !bytes.Equal(again, packet) {
			t.Errorf("%x is read as %+v, which is %x", packet, m, again)
		}
	})
}
