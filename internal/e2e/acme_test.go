// Certificates from a real ACME server (pebble), by both challenges.

package e2e

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"c100k/internal/netlab"
)

// acmeServer is pebble, with a name server that knows every name as 127.0.0.1.
type acmeServer struct {
	directory string // its URL
	roots     string // file of the authority that vouches for it
}

// startPebble starts it. It checks challenges on these ports.
func startPebble(t *testing.T, tlsPort, httpPort int) *acmeServer {
	t.Helper()
	for _, tool := range []string{"pebble", "pebble-challtestsrv"} {
		if _, err := os.Stat("acme/bin/" + tool); err != nil {
			t.Skip("pebble is not there: run internal/e2e/setup.sh")
		}
	}
	a := newAuthority(t)
	cert, key := a.sign("pebble", "localhost")
	names, directory := netlab.KeepPort(t), netlab.KeepPort(t)
	config, err := json.Marshal(map[string]any{"pebble": map[string]any{
		"listenAddress": directory, "managementListenAddress": netlab.KeepPort(t), "certificate": cert, "privateKey": key,
		"tlsPort": tlsPort, "httpPort": httpPort, "keyAlgorithm": "ecdsa", "retryAfter": map[string]int{"authz": 1, "order": 1},
		"profiles": map[string]any{"default": map[string]any{"description": "for tests", "validityPeriod": 90 * 24 * 3600}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "pebble.json")
	if err := os.WriteFile(file, config, 0o600); err != nil {
		t.Fatal(err)
	}
	background(t, exec.Command("acme/bin/pebble-challtestsrv", "-dnsserver", names, "-management", netlab.KeepPort(t),
		"-defaultIPv4", "127.0.0.1", "-defaultIPv6", "", "-http01", "", "-https01", "", "-tlsalpn01", "", "-doh", ""))
	pebble := exec.Command("acme/bin/pebble", "-config", file, "-dnsserver", names)
	pebble.Env = append(os.Environ(), "PEBBLE_VA_NOSLEEP=1")
	background(t, pebble)
	eventually(t, "pebble listens", func() error {
		c, err := net.Dial("tcp", directory)
		if err == nil {
			c.Close()
		}
		return err
	})
	return &acmeServer{"https://" + directory + "/dir", a.file}
}

// background runs a command until the end of the test.
func background(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
}

func portOf(t *testing.T, address string) int {
	t.Helper()
	_, text, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// TestACME: a node obtains its certificate by TLS-ALPN-01 on its public port, which its workers
// answer for their parent, or by HTTP-01 on the redirect port; and another node that shares the
// storage has it without an order of its own.
func TestACME(t *testing.T) {
	oneProcess(t)
	t.Parallel()
	for _, challenge := range []string{"TLS-ALPN-01", "HTTP-01"} {
		t.Run(challenge, func(t *testing.T) {
			t.Parallel()
			public, redirect := netlab.KeepPort(t), netlab.KeepPort(t)
			args := []string{"--listen", public}
			checked := portOf(t, public)
			if challenge == "HTTP-01" {
				args = append(args, "--http-redirect", redirect)
				checked = portOf(t, netlab.KeepPort(t)) // nobody is there
			} else {
				args = append(args, "--workers", "2")
			}
			pebble := startPebble(t, checked, portOf(t, redirect))
			args = append(args, "--dev", "--acme", "push.node.test", "--acme-email", "ops@node.test", "--acme-directory", pebble.directory, "--acme-storage", t.TempDir())
			start := func(args []string) *node {
				cmd := exec.Command(binary, serveArgs(args)...)
				cmd.Env = append(os.Environ(), "SSL_CERT_FILE="+pebble.roots)
				return serveWith(t, cmd)
			}
			n := start(args)
			// The challenge that nobody can answer fails first, as a rule.
			n.mayLog("ACME: ")
			var serial string
			issued := func(n *node) error {
				cert, err := leaf(t, n.public, "push.node.test")
				if err != nil {
					return err
				}
				if !strings.Contains(cert.Issuer.CommonName, "Pebble") || cert.VerifyHostname("push.node.test") != nil {
					return fmt.Errorf("the certificate is of %v for %v", cert.Issuer, cert.DNSNames)
				}
				serial = cert.SerialNumber.String()
				return nil
			}
			n.eventually("a certificate by "+challenge, func() error { return issued(n) })
			first := serial
			args[1] = netlab.KeepPort(t)
			if challenge == "HTTP-01" {
				args[3] = netlab.KeepPort(t)
			}
			if err := issued(start(args)); err != nil || serial != first {
				t.Errorf("the second node: %v, serial %s; want that of the first, %s", err, serial, first)
			}
		})
	}
}
