// The topic protocol over WebSocket on connections with a layer below it: the tests of this
// package, unchanged, against a program whose loops have netpolltest.XORLayer, through a proxy that
// speaks it.

package e2e

import (
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"

	"c100k/netpoll/netpolltest"
)

// layerVariable makes all tests run with nodes that have the layer.
const layerVariable = "E2E_LAYER"

// layerTests are those of one protocol: subscribe, publish, envelopes, fragments, compression,
// large messages, close, heartbeats, the rate, the limits on connections and heads, slow consumers
// with each policy and their gaps, back-pressure, the drain.
var layerTests = []string{
	"TestMessages", "TestClosing", "TestTopics", "TestKinds", "TestCrowd",
	"TestSlowConsumerDisconnect", "TestSlowConsumerDrop", "TestEchoBackPressure",
	"TestHeartbeat", "TestSlowHead", "TestRate", "TestAnnouncedLengths", "TestFragments", "TestFirehose",
	"TestFirstFrames", "TestMaxConns",
	"TestDrain", "TestDrainDeaf", "TestDrainWithNobody", "TestSecondSignal", "TestRestartCode", "TestCloseConnection",
}

// TestLayer runs them in a process of their own.
func TestLayer(t *testing.T) {
	if os.Getenv(layerVariable) != "" {
		t.Skip("all tests run with the layer already")
	}
	oneProcess(t)
	run := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^("+strings.Join(layerTests, "|")+")$", "-test.v", "-test.timeout=10m")
	run.Env = append(os.Environ(), layerVariable+"=xor")
	out, err := run.CombinedOutput()
	for _, name := range layerTests {
		switch text := string(out); {
		case strings.Contains(text, "\n--- PASS: "+name+" "):
		case strings.Contains(text, "\n--- SKIP: "+name+" "):
			t.Logf("%s is skipped", name)
		default:
			t.Errorf("%s does not pass with a layer", name)
		}
	}
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// layerInFront is where tests reach a node that listens at address. With a layer that is a proxy
// which adds it.
func layerInFront(t *testing.T, address string) string {
	t.Helper()
	if os.Getenv(layerVariable) == "" {
		return address
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return // the test has ended
			}
			go addLayer(c.(*net.TCPConn), address)
		}
	}()
	return ln.Addr().String()
}

// addLayer connects a client to the node, from the client's own address, until both have ended.
func addLayer(client *net.TCPConn, address string) {
	defer client.Close()
	from := &net.TCPAddr{IP: client.RemoteAddr().(*net.TCPAddr).IP}
	c, err := (&net.Dialer{Timeout: patience, LocalAddr: from}).Dial("tcp", address)
	if err != nil {
		reset(client)
		return
	}
	node := c.(*net.TCPConn)
	defer node.Close()
	layered := &netpolltest.XORConn{Conn: node}
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		_, err := io.Copy(client, layered)
		pass(err, client, node)
		_ = client.CloseWrite() // fails where the client has gone
	}()
	_, err = io.Copy(layered, client)
	if pass(err, client, node); err == nil {
		_ = layered.CloseWrite() // fails where the node has gone
	}
	<-answered
}

// pass ends both connections when one of them was reset, as the one end would learn of the other
// without a proxy.
func pass(err error, both ...*net.TCPConn) {
	if err == nil || errors.Is(err, net.ErrClosed) {
		return
	}
	for _, c := range both {
		reset(c)
	}
}

func reset(c *net.TCPConn) {
	_ = c.SetLinger(0) // fails where the connection is closed already
	c.Close()
}
