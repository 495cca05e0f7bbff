// Redis Cluster, Sentinel and TLS: real servers, with Node's servers and ours together.

package cluster

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"c100k/internal/netlab"
	"c100k/socketio"
)

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("still not: " + what)
		}
	}
}

func freePort(t testing.TB) string {
	t.Helper()
	_, port, err := net.SplitHostPort(netlab.KeepPort(t))
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// runRedis runs a server on a port of this machine.
func runRedis(t testing.TB, args ...string) (port string, cmd *exec.Cmd) {
	t.Helper()
	if testing.Short() {
		t.Skip("starts Redis")
	}
	port = freePort(t)
	all := []string{"--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", t.TempDir(), "--port", port}
	for i, a := range args {
		if a == "--tls-port" {
			all = append(all, "--port", "0")
			args[i+1] = port
		}
	}
	cmd = exec.Command("redis-server", append(all, args...)...)
	start(t, cmd)
	eventually(t, "Redis listens", func() bool {
		c, err := net.Dial("tcp", "127.0.0.1:"+port)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	return port, cmd
}

// cli is what an operator types.
func cli(t testing.TB, port string, args ...string) string {
	t.Helper()
	out, err := exec.Command("redis-cli", append([]string{"-p", port}, args...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("redis-cli %v: %v %s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// runCluster runs three masters.
func runCluster(t testing.TB) (ports []string) {
	t.Helper()
	create := []string{"--cluster", "create", "--cluster-yes"}
	for range 3 {
		port, _ := runRedis(t, "--cluster-enabled", "yes", "--cluster-port", freePort(t), "--cluster-node-timeout", "5000")
		ports, create = append(ports, port), append(create, "127.0.0.1:"+port)
	}
	cli(t, ports[0], create...)
	for _, port := range ports {
		eventually(t, "the cluster is there", func() bool { return strings.Contains(cli(t, port, "cluster", "info"), "cluster_state:ok") })
	}
	return ports
}

// callServer calls a server of either kind.
func callServer(t testing.TB, address string, q map[string]any) any {
	t.Helper()
	p, _ := json.Marshal(q)
	resp, err := http.Post("http://"+address+"/call", "application/json", bytes.NewReader(p))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var v any
	if err := json.NewDecoder(resp.Body).Decode(&v); err != nil {
		t.Fatal(err)
	}
	return v
}

// follower is a client that keeps what it gets.
type follower struct {
	*pollClient
	mu  sync.Mutex
	got strings.Builder
}

func follow(t testing.TB, address string) *follower {
	t.Helper()
	f := &follower{pollClient: dialPoll(t, address)}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	go func() {
		defer close(ended)
		for f.poll(ctx) {
		}
	}()
	return f
}

// poll polls once, and reports whether the client is still connected.
func (f *follower) poll(ctx context.Context) bool {
	r, err := http.NewRequestWithContext(ctx, "GET", f.url, nil)
	if err != nil {
		return false
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	p, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != 200 {
		return false
	}
	f.mu.Lock()
	f.got.WriteString(string(p) + "\x1e")
	f.mu.Unlock()
	if strings.Contains("\x1e"+string(p)+"\x1e", "\x1e2\x1e") {
		resp, err := http.Post(f.url, "text/plain", strings.NewReader("3"))
		if err == nil {
			resp.Body.Close()
		}
	}
	return true
}

func (f *follower) count(event string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return count(f.got.String(), event)
}

// crew are servers with a client each; those of odd numbers are in room "odd".
type crew struct {
	t       testing.TB
	servers []string
	clients []*follower
	events  int
}

func newCrew(t testing.TB, servers ...string) *crew {
	t.Helper()
	c := &crew{t: t, servers: servers}
	for _, s := range servers {
		c.clients = append(c.clients, follow(t, s))
	}
	for i, client := range c.clients {
		if i%2 == 1 {
			client.do("POST", `420["join","odd"]`)
		}
	}
	return c
}

// emit emits an event of a new name from a server, and returns those who should get it.
func (c *crew) emit(i int, odd bool) (name string, members []*follower) {
	c.events++
	name = fmt.Sprint("event", c.events, "-")
	q := map[string]any{"op": "emit", "args": []any{name, "x"}}
	if odd {
		q["rooms"] = []string{"odd"}
	}
	callServer(c.t, c.servers[i], q)
	for k, client := range c.clients {
		if !odd || k%2 == 1 {
			members = append(members, client)
		}
	}
	return name, members
}

// settle emits from each server until everybody hears it: servers subscribe on their own time, and
// again when a server of Redis has gone.
func (c *crew) settle() {
	c.t.Helper()
	for i := range c.servers {
		for _, odd := range []bool{false, true} {
			var name string
			var members []*follower
			var since time.Time
			eventually(c.t, fmt.Sprintf("all hear server %d, odd %t", i, odd), func() bool {
				if time.Since(since) > 200*time.Millisecond {
					name, members = c.emit(i, odd)
					since = time.Now()
				}
				return !slices.ContainsFunc(members, func(f *follower) bool { return f.count(name) == 0 })
			})
		}
	}
}

// check makes calls from each server, which all take part in.
func (c *crew) check() {
	c.t.Helper()
	for i := range c.servers {
		for _, odd := range []bool{false, true} {
			name, members := c.emit(i, odd)
			for _, f := range members {
				eventually(c.t, fmt.Sprintf("%s of server %d arrives", name, i), func() bool { return f.count(name) > 0 })
			}
			for _, f := range c.clients {
				if n := f.count(name); n > 1 || n == 1 != slices.Contains(members, f) {
					c.t.Errorf("server %d, odd %t: a client got it %d times", i, odd, n)
				}
			}
		}
		// Requests go another way than events where there is a stream. Until all servers are there, the
		// results are partial.
		for what, want := range map[string]int{"fetchSockets": len(c.clients), "serverSideEmitWithAck": len(c.servers) - 1} {
			eventually(c.t, fmt.Sprintf("%s of server %d has %d results", what, i, want), func() bool {
				list, ok := callServer(c.t, c.servers[i], map[string]any{"op": what, "args": []any{"ask", 1}}).([]any)
				return ok && len(list) == want
			})
		}
	}
}

// joinAs joins a cluster in a form.
func joinAs(t testing.TB, form string, o RedisOptions) *goServer {
	t.Helper()
	var c *Cluster
	var err error
	switch form {
	case "redis":
		c, err = Redis(t.Context(), o)
	case "redis-sharded":
		c, err = Sharded(t.Context(), ShardedOptions{RedisOptions: o})
	case "redis-streams":
		c, err = Streams(t.Context(), StreamsOptions{RedisOptions: o})
	}
	if err != nil {
		t.Fatal(err)
	}
	return startGo(t, c, socketio.Options{})
}

// TestRedisCluster: over three masters; a slot moves while messages flow.
func TestRedisCluster(t *testing.T) {
	t.Parallel()
	ports := runCluster(t)
	all := strings.Join(ports, ",")
	for _, form := range []string{"redis", "redis-sharded", "redis-streams"} {
		t.Run(form, func(t *testing.T) {
			o := RedisOptions{URL: "redis-cluster://127.0.0.1:" + strings.Join(ports, ",127.0.0.1:")}
			ours := joinAs(t, form, o)
			c := newCrew(t, startNode(t, form, "ioredis", "cluster:"+all, "a"), startNode(t, form, "redis", "cluster:"+all, "b"), ours.address, joinAs(t, form, o).address)
			c.settle()
			c.check()
			if form != "redis-sharded" {
				return
			}
			// Only between our servers: those of Node do not all follow.
			slot := strconv.Itoa(slotOf("socket.io#/#odd#"))
			from, to := "", ""
			for _, port := range ports {
				if strings.Contains(cli(t, port, "pubsub", "shardchannels"), "socket.io#/#odd#") {
					from = port
				} else {
					to = port
				}
			}
			ids := map[string]string{from: cli(t, from, "cluster", "myid"), to: cli(t, to, "cluster", "myid")}
			cli(t, to, "cluster", "setslot", slot, "importing", ids[from])
			cli(t, from, "cluster", "setslot", slot, "migrating", ids[to])
			own := &crew{t: t, servers: c.servers[2:], clients: c.clients[2:]}
			own.events = 1000
			own.settle()
			for _, port := range []string{to, from} {
				cli(t, port, "cluster", "setslot", slot, "node", ids[to])
			}
			eventually(t, "the channel is at the other master", func() bool {
				return strings.Contains(cli(t, to, "pubsub", "shardchannels"), "socket.io#/#odd#")
			})
			own.settle()
		})
	}
}

// TestSentinel: the master dies, and its replica takes over.
func TestSentinel(t *testing.T) {
	t.Parallel()
	master, process := runRedis(t)
	replica, _ := runRedis(t, "--replicaof", "127.0.0.1", master)
	port := freePort(t)
	file := filepath.Join(t.TempDir(), "sentinel.conf")
	text := fmt.Sprintf("port %s\nbind 127.0.0.1\nsentinel monitor main 127.0.0.1 %s 1\n"+
		"sentinel down-after-milliseconds main 500\nsentinel failover-timeout main 5000\n", port, master)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	start(t, exec.Command("redis-sentinel", file))
	eventually(t, "Sentinel knows the replica", func() bool {
		out, err := exec.Command("redis-cli", "-p", port, "sentinel", "replicas", "main").CombinedOutput()
		return err == nil && strings.Contains(string(out), replica)
	})
	var crews []*crew
	for _, form := range []string{"redis", "redis-streams"} {
		o := RedisOptions{URL: "redis-sentinel://127.0.0.1:" + port + "/main", Key: form}
		servers := []string{joinAs(t, form, o).address, joinAs(t, form, o).address}
		if form == "redis" {
			servers = append(servers, startNode(t, form, "ioredis", "sentinel:"+port+"/main", "a", `{"key":"redis"}`))
		}
		crews = append(crews, newCrew(t, servers...))
	}
	for _, c := range crews {
		c.settle()
		c.check()
	}
	if err := process.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the replica is the master", func() bool {
		// It may close a connection while it changes.
		out, err := exec.Command("redis-cli", "-p", replica, "role").CombinedOutput()
		return err == nil && strings.Contains(string(out), "master")
	})
	for _, c := range crews {
		c.settle()
		c.check()
	}
}

// TestRedisTLS: rediss, with a certificate that is verified and a password.
func TestRedisTLS(t *testing.T) {
	t.Parallel()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, block := range map[string]*pem.Block{"cert": {Type: "CERTIFICATE", Bytes: der}, "key": {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	port, _ := runRedis(t, "--tls-port", "", "--tls-cert-file", filepath.Join(dir, "cert"), "--tls-key-file", filepath.Join(dir, "key"),
		"--tls-ca-cert-file", filepath.Join(dir, "cert"), "--tls-auth-clients", "no", "--requirepass", "secret")
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(cert)
	o := RedisOptions{URL: "rediss://:secret@127.0.0.1:" + port, TLS: &tls.Config{RootCAs: roots}}
	c := newCrew(t, joinAs(t, "redis", o).address, joinAs(t, "redis", o).address)
	c.settle()
	c.check()
	o.TLS = nil
	if _, err := Redis(t.Context(), o); !errors.Is(err, ErrRedis) {
		t.Errorf("a certificate of nobody: %v", err)
	}
}
