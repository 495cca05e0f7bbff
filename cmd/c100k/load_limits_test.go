// Tests of `load`: what it says of the box.

package main

import (
	"net"
	"strings"
	"testing"
	"testing/fstest"

	"c100k/internal/doctor"
)

// nobody is the URL of a port that nobody listens on.
func nobody(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return "ws://" + ln.Addr().String() + "/ws?topic=t"
}

// What the box lacks is said before the run begins, and the run begins all the same.
func TestLoadWarnsOfLimits(t *testing.T) {
	p := newProgram("load", nobody(t), "--conns", "101")
	p.host = func() doctor.Host {
		h := bareHost()
		h.Root = fstest.MapFS{
			"proc/sys/net/core/somaxconn":             {Data: []byte("128\n")},
			"proc/sys/net/netfilter/nf_conntrack_max": {Data: []byte("100\n")},
		}
		return h
	}
	code, _, said := p.exec(t)
	const want = "c100k: a limit of this box is low: nf_conntrack_max is 100, 0 in use (needed: 101): sysctl -w net.netfilter.nf_conntrack_max=101\n" +
		"c100k: a limit of this box is low: net.core.somaxconn is 128 (needed: 4096): sysctl -w net.core.somaxconn=4096\n"
	if code != exitUnreachable || !strings.HasPrefix(said, want) || !strings.Contains(said, "nobody listens there") {
		t.Errorf("exit code %d\n%s", code, said)
	}
}
