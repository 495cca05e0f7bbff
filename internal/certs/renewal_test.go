// Renewal by a real ACME server (pebble) whose certificates live for seconds.

package certs

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// TestRenewal: both challenges obtain a certificate, and another one before it ends; handshakes see
// the new one without anybody's doing.
func TestRenewal(t *testing.T) {
	bin := "../e2e/acme/bin/pebble"
	if _, err := os.Stat(bin); err != nil {
		t.Skip("pebble is not there: run internal/e2e/setup.sh")
	}
	for _, challenge := range []string{"TLS-ALPN-01", "HTTP-01"} {
		t.Run(challenge, func(t *testing.T) { renewal(t, bin, challenge == "HTTP-01") })
	}
}

func renewal(t *testing.T, bin string, byHTTP bool) {
	public, redirect := listenTCP(t), listenTCP(t)
	opt := ACME{Names: []string{"localhost"}, Storage: t.TempDir(), HTTP: byHTTP, checkEvery: time.Second}
	opt.Directory, opt.roots = pebble(t, bin, public.Addr(), redirect.Addr())
	changed := make(chan struct{}, 100)
	log, text := newLog()
	s, err := Open(Options{ACME: &opt, Logger: log, Changed: func() { changed <- struct{}{} }})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	store, err := NewStore(s.Material(), Policy{Min: tls.VersionTLS12}, s.Challenge)
	if err != nil {
		t.Fatal(err)
	}
	answer := &http.Server{Handler: s.Challenges(http.NotFoundHandler())}
	defer answer.Close()
	if byHTTP {
		public.Close() // so that nobody answers the other challenge
		go func() { _ = answer.Serve(redirect) }()
	} else {
		go shakeHands(public, store)
	}
	s.StartACME(public.Addr(), redirect.Addr())
	var serials []string
	for len(serials) < 3 {
		select {
		case <-changed:
		case <-time.After(time.Minute):
			t.Fatalf("%d certificates in a minute: %s", len(serials), text.take())
		}
		if err := store.Set(s.Material(), Policy{Min: tls.VersionTLS12}); err != nil {
			t.Fatal(err)
		}
		cert, err := store.Config().GetCertificate(&tls.ClientHelloInfo{ServerName: "localhost"})
		if err != nil {
			t.Fatal(err)
		}
		if serial := cert.Leaf.SerialNumber.String(); !slices.Contains(serials, serial) {
			serials = append(serials, serial)
		}
	}
}

func listenTCP(t *testing.T) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	return ln
}

// shakeHands is the public port of a node.
func shakeHands(ln net.Listener, store *Store) {
	for {
		raw, err := ln.Accept()
		if err != nil {
			return
		}
		c := tls.Server(raw, store.Config())
		_ = c.Handshake()
		_ = c.Close()
	}
}

// pebble runs an authority that checks challenges on these ports, and returns its directory and who
// vouches for it.
func pebble(t *testing.T, bin string, public, redirect net.Addr) (directory string, roots *x509.CertPool) {
	t.Helper()
	own, err := Self(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	files := put(t, dir, "pebble", own)
	free := listenTCP(t)
	address := free.Addr().String()
	free.Close()
	config, err := json.Marshal(map[string]any{"pebble": map[string]any{
		"listenAddress": address, "certificate": files.Cert, "privateKey": files.Key, "keyAlgorithm": "ecdsa",
		"tlsPort": public.(*net.TCPAddr).Port, "httpPort": redirect.(*net.TCPAddr).Port, "retryAfter": map[string]int{"authz": 1, "order": 1},
		"profiles": map[string]any{"default": map[string]any{"description": "short", "validityPeriod": 9}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "pebble.json"), config)
	cmd := exec.Command(bin, "-config", filepath.Join(dir, "pebble.json"))
	cmd.Env = append(os.Environ(), "PEBBLE_VA_NOSLEEP=1")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	roots = x509.NewCertPool()
	roots.AppendCertsFromPEM(own.Cert)
	return "https://" + address + "/dir", roots
}
