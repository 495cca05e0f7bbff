package netpoll

import (
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
)

// PeerAddr says of a socket what package net says of it, and nothing of one without an address.
func TestPeerAddr(t *testing.T) {
	for network, address := range map[string]string{"tcp4": "127.0.0.1:0", "tcp6": "[::1]:0", "tcp": ":0", "unix": filepath.Join(t.TempDir(), "s")} {
		t.Run(network, func(t *testing.T) {
			l, err := net.Listen(network, address)
			if err != nil {
				t.Skip(err) // not every machine has IPv6
			}
			defer l.Close()
			client, err := net.Dial(network, l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			accepted, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer accepted.Close()
			want := netip.AddrPort{}
			if tcp, ok := client.LocalAddr().(*net.TCPAddr); ok {
				want = netip.AddrPortFrom(tcp.AddrPort().Addr().Unmap(), uint16(tcp.Port))
			}
			raw, err := accepted.(interface{ File() (*os.File, error) }).File()
			if err != nil {
				t.Fatal(err)
			}
			defer raw.Close()
			var loop *Loop // has no part in it
			c := &Conn{fd: int32(raw.Fd())}
			if got := loop.PeerAddr(c); got != want {
				t.Errorf("got %v, want %v", got, want)
			}
			if n := testing.AllocsPerRun(100, func() { loop.PeerAddr(c) }); n > 0 {
				t.Errorf("%v allocations", n)
			}
		})
	}
}
