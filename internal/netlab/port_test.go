// A port that is kept: who asks for it gets it, and nobody else.

package netlab

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
)

func TestKeepPort(t *testing.T) {
	address := KeepPort(t)
	for range 3 { // a server that is started again and again
		if c, err := net.Dial("tcp", address); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Fatalf("nobody listens: %v, %v", c, err)
		}
		ln, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		if second, err := net.Listen("tcp", address); !errors.Is(err, syscall.EADDRINUSE) {
			t.Errorf("two listen: %v, %v", second, err)
		}
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
		ln.Close()
	}
}

// TestKeepPortFromOthers asks for free ports, to listen and to connect, often enough to be given
// some of those that are kept, if they could be.
func TestKeepPortFromOthers(t *testing.T) {
	text, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	if err != nil {
		t.Skip(err)
	}
	var low, high int
	if _, err := fmt.Sscan(string(text), &low, &high); err != nil {
		t.Fatal(err)
	}
	kept := map[string]bool{}
	for range 50 {
		kept[KeepPort(t)] = true
	}
	if len(kept) != 50 {
		t.Fatalf("%d of 50 are different", len(kept))
	}
	for range (high - low) / 6 {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		c, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		for _, taken := range []string{ln.Addr().String(), c.LocalAddr().String()} {
			if kept[taken] || !strings.HasPrefix(taken, "127.0.0.1:") {
				t.Fatalf("%s is kept, and was given away", taken)
			}
		}
		_ = c.(*net.TCPConn).SetLinger(0) // no port is left waiting
		c.Close()
		ln.Close()
	}
}
