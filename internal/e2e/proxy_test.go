// Behind a proxy: limits count the clients that a trusted proxy names; other senders of these
// header fields are not believed.

package e2e

import (
	"testing"
)

func TestTrustedProxy(t *testing.T) {
	oneProcess(t)
	t.Parallel()
	n := serve(t, "--dev", "--trusted-proxies", "127.0.0.0/8", "--max-conns-per-ip", "2")
	for _, client := range []string{"192.0.2.1", "192.0.2.2", "2001:db8::1"} {
		for range 2 {
			n.upgrade(t, "/echo", "X-Forwarded-For: "+client).echo(client)
		}
		p := dial(t, n.public)
		p.send(upgradeRequest("/echo", "X-Forwarded-For: "+client))
		p.expectRefusal(429)
	}
	for range 2 {
		p := dial(t, n.public)
		p.send("PROXY TCP4 198.51.100.7 127.0.0.1 40000 8080\r\n" + upgradeRequest("/echo") + maskedText("first"))
		if err := p.switched(); err != nil {
			t.Fatal(err)
		}
		p.expectText("first")
	}
	p := dial(t, n.public)
	p.send("PROXY TCP4 198.51.100.7 127.0.0.1 40000 8080\r\n" + upgradeRequest("/echo"))
	p.expectRefusal(429)
}

func TestUntrustedProxy(t *testing.T) {
	oneProcess(t)
	t.Parallel()
	n := serve(t, "--dev", "--max-conns-per-ip", "2")
	for _, client := range []string{"192.0.2.1", "192.0.2.2"} {
		n.upgrade(t, "/echo", "X-Forwarded-For: "+client)
	}
	p := dial(t, n.public)
	p.send(upgradeRequest("/echo", "X-Forwarded-For: 192.0.2.3"))
	p.expectRefusal(429)
	other := serve(t, "--dev")
	q := dial(t, other.public)
	q.send("PROXY TCP4 198.51.100.7 127.0.0.1 40000 8080\r\n" + upgradeRequest("/echo"))
	q.expectRefusal(400)
}
