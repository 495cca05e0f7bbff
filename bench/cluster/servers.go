// The servers of the cluster: Redis, Sentinel, c100k and Node.

package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"c100k/internal/netlab"
)

const (
	redisPort    = "6379"
	sentinelPort = "26379"
	publicAddr   = "127.0.0.1:8080"
	adminAddr    = "127.0.0.1:9100"
)

// answerBytesMax bounds the answer of a server to an operator, in bytes.
const answerBytesMax = 1 << 20

// cluster is what runs.
type cluster struct {
	redis    [3]*netlab.Host // the third has a Sentinel only
	replica  *netlab.Process
	master   *netlab.Process
	nodes    [3]*node
	socketio [2]*netlab.Host // servers on Node
	url      string          // of Redis, for c100k
	binary   string
}

// node is a c100k node.
type node struct {
	*netlab.Host
	number int
	args   []string
	run    *netlab.Process
	client *http.Client
}

// start starts everything and returns when all of it answers.
func start(l *netlab.Lab, o options) (*cluster, error) {
	c := &cluster{}
	var err error
	if c.binary, err = filepath.Abs(o.binary); err != nil {
		return nil, err
	}
	if err := c.startRedis(l); err != nil {
		return nil, err
	}
	for i := range c.nodes {
		h, err := l.Add("node" + strconv.Itoa(i+1))
		if err != nil {
			return nil, err
		}
		n := &node{Host: h, number: i, client: &http.Client{Timeout: patience, Transport: &http.Transport{DialContext: h.Dial, MaxIdleConnsPerHost: 256}}}
		n.args = []string{"serve", "--dev", "--listen", publicAddr, "--admin", adminAddr, "--workers", "1", "--bus", c.url,
			"--history", "kept=100000,10m", "--socketio-adapter", "redis"}
		c.nodes[i] = n
		if err := n.boot(c); err != nil {
			return nil, err
		}
	}
	scripts, err := filepath.Abs(o.scripts)
	if err != nil {
		return nil, err
	}
	for i := range c.socketio {
		if c.socketio[i], err = l.Add("socketio" + strconv.Itoa(i+1)); err != nil {
			return nil, err
		}
		if _, err := c.socketio[i].Start(scripts, "node", "clusterdemo.mjs", strconv.Itoa(i+len(c.nodes)), publicAddr, c.sentinels()); err != nil {
			return nil, err
		}
	}
	return c, nil
}

func (c *cluster) sentinels() string {
	var list []string
	for _, h := range c.redis {
		list = append(list, net.JoinHostPort(h.Address, sentinelPort))
	}
	return strings.Join(list, ",")
}

// startRedis starts a master, a replica, and three Sentinels that watch them.
func (c *cluster) startRedis(l *netlab.Lab) error {
	for i := range c.redis {
		var err error
		if c.redis[i], err = l.Add("redis" + strconv.Itoa(i+1)); err != nil {
			return err
		}
	}
	c.url = "redis-sentinel://" + c.sentinels() + "/main"
	server := []string{"--port", redisPort, "--bind", "0.0.0.0", "--protected-mode", "no", "--save", "", "--dir", l.Dir}
	var err error
	if c.master, err = c.redis[0].Start("", "redis-server", server...); err != nil {
		return err
	}
	if c.replica, err = c.redis[1].Start("", "redis-server", append(server, "--replicaof", c.redis[0].Address+" "+redisPort)...); err != nil {
		return err
	}
	ctx := context.Background()
	if err := await(ctx, "the replica follows", func() error {
		return says(c.redis[1], redisPort, "INFO replication", "master_link_status:up")
	}); err != nil {
		return err
	}
	for i, h := range c.redis {
		file := filepath.Join(l.Dir, fmt.Sprintf("sentinel%d.conf", i+1))
		text := fmt.Sprintf("port %s\nbind 0.0.0.0\nprotected-mode no\nsentinel monitor main %s %s 2\n"+
			"sentinel down-after-milliseconds main 500\nsentinel failover-timeout main 5000\n", sentinelPort, c.redis[0].Address, redisPort)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			return err
		}
		if _, err := h.Start("", "redis-sentinel", file); err != nil {
			return err
		}
	}
	for _, h := range c.redis {
		if err := await(ctx, "Sentinel knows all", func() error {
			return says(h, sentinelPort, "INFO sentinel", "slaves=1,sentinels=3")
		}); err != nil {
			return err
		}
	}
	return nil
}

// says asks a Redis server of a machine, and fails if the answer has no such text in it.
func says(h *netlab.Host, port, command, text string) error {
	conn, err := h.Dial(context.Background(), "tcp", "127.0.0.1:"+port)
	if err != nil {
		return err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(time.Second))
	if _, err := fmt.Fprintf(conn, "%s\r\n", command); err != nil {
		return err
	}
	in := bufio.NewReader(conn)
	var size int
	if _, err := fmt.Fscanf(in, "$%d\r\n", &size); err != nil || size < 0 || size > answerBytesMax {
		return fmt.Errorf("%s on %s: no bulk string: %w", command, h.Name, err)
	}
	answer := make([]byte, size)
	_, err = io.ReadFull(in, answer)
	if err == nil && !strings.Contains(string(answer), text) {
		err = fmt.Errorf("%s on %s: no %s", command, h.Name, text)
	}
	return err
}

// boot starts the node and returns when it is ready and hears the others that run.
func (n *node) boot(c *cluster) error {
	var err error
	if n.run, err = n.Start("", c.binary, n.args...); err != nil {
		return err
	}
	return await(context.Background(), n.Name+" is ready", func() error { return n.ready() })
}

// ready is nil while the node answers that it is.
func (n *node) ready() error {
	answer, err := n.client.Get("http://" + adminAddr + "/readyz")
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("not ready: %s", text)
	}
	return err
}

// figures are what a node counts of its bus.
type figures struct{ missed, unsent, peers int }

func (n *node) figures() (f figures, err error) {
	answer, err := n.client.Get("http://" + adminAddr + "/metrics")
	if err != nil {
		return f, err
	}
	defer answer.Body.Close()
	into := map[string]*int{"c100k_bus_missed_total": &f.missed, "c100k_bus_unsent_total": &f.unsent, "c100k_bus_peers": &f.peers}
	lines := bufio.NewScanner(answer.Body)
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), " ")
		if at := into[name]; at != nil {
			number, err := strconv.ParseFloat(value, 64)
			if err != nil {
				return f, fmt.Errorf("%s: %w", name, err)
			}
			*at = int(number)
		}
	}
	return f, lines.Err()
}
