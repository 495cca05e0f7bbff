// TLS with clients that are not ours: OpenSSL, curl, Python, Node.

package e2e

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"c100k/internal/netlab"
)

// tool runs a program with input, and returns all that it wrote.
func tool(t *testing.T, input, name string, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Skip(name + " is not there: run internal/e2e/setup.sh")
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdin = strings.NewReader(input)
	out, _ := cmd.CombinedOutput() // what it wrote is what counts
	return string(out)
}

const oneRequest = "GET /ws HTTP/1.1\r\nHost: node.test\r\nConnection: close\r\n\r\n"

// TestOpenSSL: each version and suite, what is refused, SNI, and clients with certificates.
func TestOpenSSL(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	other, otherKey := a.sign("other", "other.test")
	client, clientKey := a.sign("client", "u17")
	cert, key := a.sign("node", "node.test")
	rsaCert, rsaKey := a.signRSA("rsa", "rsa.test")
	n := serve(t, "--dev", "--tls-cert", cert, "--tls-key", key, "--tls-cert", other, "--tls-key", otherKey, "--tls-cert", rsaCert, "--tls-key", rsaKey,
		"--tls-client-ca", a.file, "--tls-client-auth", "optional")
	connect := func(args ...string) string {
		return tool(t, oneRequest, "openssl", append([]string{"s_client", "-connect", n.public, "-servername", "node.test", "-CAfile", a.file, "-verify_return_error", "-ign_eof"}, args...)...)
	}
	for _, test := range []struct {
		name, want string
		args       []string
	}{
		{"1.3 AES-128", "Cipher is TLS_AES_128_GCM_SHA256", []string{"-ciphersuites", "TLS_AES_128_GCM_SHA256"}},
		{"1.3 AES-256", "Cipher is TLS_AES_256_GCM_SHA384", []string{"-ciphersuites", "TLS_AES_256_GCM_SHA384"}},
		{"1.3 ChaCha20", "Cipher is TLS_CHACHA20_POLY1305_SHA256", []string{"-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256"}},
		{"1.2 AES-128", "Cipher is ECDHE-ECDSA-AES128-GCM-SHA256", []string{"-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"}},
		{"1.2 AES-256", "Cipher is ECDHE-ECDSA-AES256-GCM-SHA384", []string{"-tls1_2", "-cipher", "ECDHE-ECDSA-AES256-GCM-SHA384"}},
		{"1.2 ChaCha20", "Cipher is ECDHE-ECDSA-CHACHA20-POLY1305", []string{"-tls1_2", "-cipher", "ECDHE-ECDSA-CHACHA20-POLY1305"}},
		{"1.2 RSA AES-128", "Cipher is ECDHE-RSA-AES128-GCM-SHA256", []string{"-servername", "rsa.test", "-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256"}},
		{"1.2 RSA AES-256", "Cipher is ECDHE-RSA-AES256-GCM-SHA384", []string{"-servername", "rsa.test", "-tls1_2", "-cipher", "ECDHE-RSA-AES256-GCM-SHA384"}},
		{"1.2 RSA ChaCha20", "Cipher is ECDHE-RSA-CHACHA20-POLY1305", []string{"-servername", "rsa.test", "-tls1_2", "-cipher", "ECDHE-RSA-CHACHA20-POLY1305"}},
		{"1.3 RSA", "Peer signature type: RSA-PSS", []string{"-servername", "rsa.test"}},
		{"client certificate", "HTTP/1.1 ", []string{"-cert", client, "-key", clientKey}},
	} {
		if got := connect(test.args...); !strings.Contains(got, test.want) || !strings.Contains(got, "Verification: OK") || !strings.Contains(got, "HTTP/1.1 ") {
			t.Errorf("%s: no %q, or no answer:\n%s", test.name, test.want, got)
		}
	}
	for name, args := range map[string][]string{
		"1.2 CBC":  {"-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0"},
		"1.1":      {"-tls1_1", "-cipher", "ALL:@SECLEVEL=0"},
		"h2 alone": {"-alpn", "h2"},
	} {
		if got := connect(args...); strings.Contains(got, "HTTP/1.1 ") {
			t.Errorf("%s is not refused:\n%s", name, got)
		}
	}
	if got := connect("-servername", "other.test"); !strings.Contains(got, "CN = other.test") && !strings.Contains(got, "CN=other.test") {
		t.Errorf("the other name gets another certificate:\n%s", got)
	}
}

// TestOpenSSLKeyUpdate: a client that asks for new keys gets them, and its answer.
func TestOpenSSLKeyUpdate(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	n := secureNode(t, a)
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("openssl is not there: run internal/e2e/setup.sh")
	}
	cmd := exec.Command("openssl", "s_client", "-connect", n.public, "-tls1_3", "-msg", "-CAfile", a.file)
	keys, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	var out said
	cmd.Stdout, cmd.Stderr = &out, &out
	background(t, cmd)
	for _, step := range []struct{ say, hear string }{
		{"", "NewSessionTicket"}, {"K\n", ">>> TLS 1.3, Handshake [length 0005], KeyUpdate"},
		{"", "<<< TLS 1.3, Handshake [length 0005], KeyUpdate"}, {oneRequest, "HTTP/1.1 "},
	} {
		if _, err := io.WriteString(keys, step.say); err != nil {
			t.Fatal(err)
		}
		eventually(t, step.hear, func() error {
			if got := out.String(); !strings.Contains(got, step.hear) {
				return errors.New(got)
			}
			return nil
		})
	}
}

// said is what a program has written so far.
type said struct {
	mu   sync.Mutex // guards the field below
	text bytes.Buffer
}

// Write implements io.Writer.
func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

// String is all of it.
func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// TestResumption: the first handshake on one worker and others on all, across the restart of one.
func TestResumption(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	cert, key := a.sign("node", "node.test")
	n := serve(t, "--workers", "2", "--dev", "--tls-cert", cert, "--tls-key", key)
	n.mayLog("worker ended")
	client := &tls.Config{ServerName: "node.test", RootCAs: a.pool, ClientSessionCache: tls.NewLRUClientSessionCache(1)}
	shake := func() (resumed bool) {
		t.Helper()
		c, err := tls.Dial("tcp", n.public, client)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		fmt.Fprint(c, oneRequest)
		if _, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil { // the ticket comes before it
			t.Fatal(err)
		}
		return c.ConnectionState().DidResume
	}
	if shake() {
		t.Fatal("the first handshake resumes")
	}
	for i := range 8 { // the kernel deals connections to both
		if !shake() {
			t.Errorf("handshake %d does not resume", i)
		}
	}
	var workers struct{ Workers []struct{ PID int } }
	stats := func(v any) {
		t.Helper()
		if _, body := n.call("GET", "/v1/stats", "", nil); json.Unmarshal(body, v) != nil {
			t.Fatalf("stats: %s", body)
		}
	}
	stats(&workers)
	if err := syscall.Kill(workers.Workers[0].PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	first := workers.Workers[0].PID
	n.eventually("another worker", func() error {
		if stats(&workers); workers.Workers[0].PID == first || workers.Workers[0].PID == 0 {
			return fmt.Errorf("not yet")
		}
		return nil
	})
	for i := range 8 {
		if !shake() {
			t.Errorf("after the restart of a worker, handshake %d does not resume", i)
		}
	}
}

// TestHandshakesAddUp: the figures of two workers have each connection once: as a handshake of its
// version, or as one that has failed.
func TestHandshakesAddUp(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	cert, key := a.sign("node", "node.test")
	n := serve(t, "--workers", "2", "--dev", "--tls-cert", cert, "--tls-key", key)
	const each = 10
	client := &tls.Config{ServerName: "node.test", RootCAs: a.pool}
	older, stranger := client.Clone(), client.Clone()
	older.MaxVersion, stranger.MaxVersion = tls.VersionTLS12, tls.VersionTLS11
	stranger.MinVersion = tls.VersionTLS10
	for range each {
		for _, cfg := range []*tls.Config{client, older, stranger} {
			c, err := tls.Dial("tcp", n.public, cfg)
			if err != nil {
				if cfg != stranger {
					t.Fatal(err)
				}
				continue
			}
			fmt.Fprint(c, oneRequest)
			if _, err := io.Copy(io.Discard, c); err != nil {
				t.Fatal(err)
			}
			c.Close()
		}
	}
	n.eventually("all are counted", func() error {
		var stats struct {
			Connections struct {
				Accepted int `json:"accepted_total"`
			}
			TLS struct {
				Done   map[string]map[string]int `json:"handshakes_total"`
				Failed map[string]int            `json:"handshake_failures_total"`
			}
		}
		if _, body := n.call("GET", "/v1/stats", "", nil); json.Unmarshal(body, &stats) != nil {
			t.Fatalf("stats: %s", body)
		}
		if full := stats.TLS.Done["false"]; stats.Connections.Accepted != 3*each || full["1.3"] != each || full["1.2"] != each || stats.TLS.Failed["refused"] != each {
			return fmt.Errorf("%+v", stats)
		}
		return nil
	})
}

// TestCertificateReplacedUnderLoad: while a hundred clients echo and others come and go, handshakes
// go on, no connection drops, no message is lost, and each new certificate is seen.
func TestCertificateReplacedUnderLoad(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	n := secureNode(t, a)
	d := ws.Dialer{Timeout: patience, TLSConfig: &tls.Config{ServerName: "node.test", RootCAs: a.pool}}
	c, _, _, err := d.Dial(t.Context(), "wss://"+n.public+"/echo")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var echoes, churn said
	loads := []*exec.Cmd{
		exec.Command(binary, "load", "wss://"+n.public+"/echo", "--ca", a.file, "--conns", "100", "--rate", "500/s", "--for", "1m", "--plain"),
		exec.Command(binary, "load", "wss://"+n.public+"/echo", "--ca", a.file, "--mode", "churn", "--conns", "10", "--for", "1m", "--plain"),
	}
	for i, out := range []*said{&echoes, &churn} {
		loads[i].Stdout, loads[i].Stderr = out, out
		background(t, loads[i])
		eventually(t, "the load measures", func() error {
			if got := out.String(); !strings.Contains(got, " measure ") {
				return errors.New(got)
			}
			return nil
		})
	}
	for range 3 {
		before, err := leaf(t, n.public, "node.test")
		if err != nil {
			t.Fatal(err)
		}
		a.sign("node", "node.test")
		n.eventually("the new certificate", func() error {
			now, err := leaf(t, n.public, "node.test")
			if err != nil {
				t.Fatalf("a handshake fails: %v", err)
			}
			if now.SerialNumber.Cmp(before.SerialNumber) == 0 {
				return fmt.Errorf("it is still the old one")
			}
			return wsutil.WriteClientText(c, []byte("still here"))
		})
	}
	for i, want := range []struct{ out *said }{{&echoes}, {&churn}} {
		_ = loads[i].Process.Signal(syscall.SIGINT)
		eventually(t, "the load's result", func() error {
			if got := want.out.String(); !strings.Contains(got, "result ") {
				return errors.New(got)
			}
			return nil
		})
	}
	if got := echoes.String(); !strings.Contains(got, "100 of 100 open") || !strings.Contains(got, "lost 0, duplicated 0") || strings.Contains(got, "dropped") {
		t.Errorf("the clients that echo:\n%s", got)
	}
	if got := churn.String(); strings.Contains(got, "failed") || strings.Contains(got, "dropped") {
		t.Errorf("the clients that come and go:\n%s", got)
	}
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if text, err := wsutil.ReadServerText(c); err != nil || string(text) != "still here" {
		t.Errorf("the connection: %q, %v", text, err)
	}
}

// TestSecureClients: curl, Python's ssl, Node's ws, over the same port; and plain HTTP on it.
func TestSecureClients(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	redirect := netlab.KeepPort(t)
	n := secureNode(t, a, "--http-redirect", redirect)
	if got := tool(t, "", "curl", "-sS", "--cacert", a.file, "https://"+n.public+"/"); !strings.Contains(got, "<html") {
		t.Errorf("curl: %s", got)
	}
	if got := tool(t, "", "curl", "-sS", "http://"+n.public+"/"); !strings.Contains(got, "this port speaks TLS") {
		t.Errorf("plain HTTP: %s", got)
	}
	if got := tool(t, "", "curl", "-sSL", "--cacert", a.file, "-w", "%{url_effective}", "http://"+redirect+"/?x=y"); !strings.Contains(got, "https://"+n.public+"/?x=y") {
		t.Errorf("redirected: %s", got)
	}
	python := `import socket, ssl, sys
c = ssl.create_default_context(cafile=sys.argv[1])
with c.wrap_socket(socket.create_connection(("127.0.0.1", int(sys.argv[2]))), server_hostname="node.test") as s:
    s.sendall(b"GET /ws HTTP/1.1\r\nHost: node.test\r\nConnection: close\r\n\r\n")
    print(s.version(), s.cipher()[0], s.recv(12))
    while s.recv(65536): pass
    s.unwrap()
print("closed well")`
	if got := tool(t, "", "python3", "-c", python, a.file, fmt.Sprint(portOf(t, n.public))); !strings.Contains(got, "TLSv1.3") || !strings.Contains(got, "closed well") {
		t.Errorf("Python: %s", got)
	}
	t.Run("socket.io", func(t *testing.T) { secureScript(t, n, a, "siosecure") })
	t.Run("ws", func(t *testing.T) { secureScript(t, n, a, "messages", "65536", "plain") })
}

// secureScript is script over wss:.
func secureScript(t *testing.T, n *node, a *authority, name string, args ...string) {
	t.Helper()
	if _, err := os.Stat("node/node_modules"); err != nil {
		t.Skip("the Node packages are not there: run internal/e2e/setup.sh")
	}
	ctx, cancel := context.WithTimeout(t.Context(), scriptPatience)
	defer cancel()
	run := exec.CommandContext(ctx, "node", append([]string{"node/" + name + ".mjs", "wss://" + n.public, "http://" + n.admin}, args...)...)
	run.Env = append(os.Environ(), "NODE_EXTRA_CA_CERTS="+a.file)
	var stderr bytes.Buffer
	run.Stderr = &stderr
	out, err := run.Output()
	complete := false
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
		complete = report(t, lines.Text()) || complete
	}
	if err != nil || !complete {
		t.Errorf("%s.mjs did not come to its end: %v\n%s", name, err, stderr.String())
	}
}

// TestClientCertificateRequired: nobody comes in without one, over any client; with one, curl, sub
// and load do.
func TestClientCertificateRequired(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	cert, key := a.sign("client", "u17")
	stranger, strangerKey := newAuthority(t).sign("stranger", "u18")
	n := secureNode(t, a, "--tls-client-ca", a.file, "--tls-client-auth", "require")
	for _, args := range [][]string{nil, {"--cert", stranger, "--key", strangerKey}} {
		if got := tool(t, "", "curl", append([]string{"-sS", "--cacert", a.file, "https://" + n.public + "/"}, args...)...); strings.Contains(got, "<html") || !strings.Contains(got, "alert") {
			t.Errorf("curl with %v: %s", args, got)
		}
	}
	if got := tool(t, "", "curl", "-sS", "--cacert", a.file, "--cert", cert, "--key", key, "https://"+n.public+"/"); !strings.Contains(got, "<html") {
		t.Errorf("curl: %s", got)
	}
	got := tool(t, "", binary, "load", "wss://"+n.public+"/echo", "--ca", a.file, "--cert", cert, "--key", key, "--conns", "20", "--rate", "200/s", "--for", "1s", "--plain")
	if !strings.Contains(got, "20 of 20 open") || !strings.Contains(got, "TLS, full") || !strings.Contains(got, "lost 0") {
		t.Errorf("load: %s", got)
	}
	if got := tool(t, "", binary, "load", "wss://"+n.public+"/echo", "--ca", a.file, "--conns", "2", "--for", "1s", "--plain"); !strings.Contains(got, "certificate") {
		t.Errorf("load without a certificate: %s", got)
	}
}
