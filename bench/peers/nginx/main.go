// Command nginx is a node of c100k without TLS behind nginx, which speaks it: what an operator had
// before the node did.
//
//   - `worker_processes` is two times --loops: a worker holds two descriptors a connection, and 15,000
//     connections are more than one process may hold where the limit is 20,000. `reuseport` spreads
//     the connections evenly;
//   - buffers as they are by default, keys and tickets too; no access log; the suite is the one that
//     the rivals in Go choose;
//   - proxy_buffering off and long timeouts, as the documentation of nginx advises for WebSocket.
package main

import (
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"c100k-peers/peer"
)

const configuration = `daemon off;
pid %[1]s/pid;
error_log %[1]s/error.log crit;
worker_processes %[2]d;
worker_rlimit_nofile %[3]d;
events { worker_connections %[3]d; }
http {
	access_log off;
	client_body_temp_path %[1]s/body;
	proxy_temp_path %[1]s/proxy;
	fastcgi_temp_path %[1]s/fastcgi;
	uwsgi_temp_path %[1]s/uwsgi;
	scgi_temp_path %[1]s/scgi;
	server {
		listen %[4]s ssl reuseport backlog=4096;
		ssl_certificate %[5]s;
		ssl_certificate_key %[6]s;
		ssl_protocols TLSv1.2 TLSv1.3;
		ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256;
		location / {
			proxy_pass http://%[7]s;
			proxy_http_version 1.1;
			proxy_set_header Host $http_host;
			proxy_set_header Upgrade $http_upgrade;
			proxy_set_header Connection upgrade;
			proxy_buffering off;
			proxy_read_timeout 1h;
			proxy_send_timeout 1h;
		}
	}
}
`

// filesMax is how many descriptors a worker of nginx asks for.
const filesMax = 20_000

func main() {
	runtime.LockOSThread() // the processes that it starts end with this thread
	var o peer.Options
	o.TLSFlags()
	binary := flag.String("node", "", "the program of the node, c100k")
	o.Parse()
	if o.Cert == "" || *binary == "" {
		flag.Usage()
		os.Exit(2)
	}
	dir, err := os.MkdirTemp("", "peer-nginx")
	peer.Check(err)
	err = run(o, *binary, dir)
	peer.Check(os.RemoveAll(dir))
	peer.Check(err)
}

// run has both processes up until TERM. They end with this one, however it ends.
func run(o peer.Options, binary, dir string) error {
	public, err := free(o.Addr)
	if err != nil {
		return err
	}
	behind, err := free("127.0.0.1:0")
	if err != nil {
		return err
	}
	path := filepath.Join(dir, "nginx.conf")
	text := fmt.Sprintf(configuration, dir, 2*o.Loops, filesMax, public, o.Cert, o.Key, behind)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return err
	}
	node, err := start(binary, "serve", "--dev", "--listen", behind.String(), "--admin", "", "--loops", strconv.Itoa(o.Loops), "--drain", "1s", "--log-level", "warn")
	if err != nil {
		return err
	}
	defer end(node)
	if err := listens(behind); err != nil { // before nginx does, which answers 502 without it
		return err
	}
	proxy, err := start("nginx", "-p", dir, "-c", path)
	if err != nil {
		return err
	}
	defer end(proxy)
	if err := listens(public); err != nil {
		return err
	}
	peer.Ready(public)
	o.AwaitTerm()
	return nil
}

// free is an address with a port that nobody has; the port stays free until a process takes it.
func free(addr string) (net.Addr, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	return l.Addr(), l.Close()
}

// start runs a process that ends with this one.
func start(name string, args ...string) (*exec.Cmd, error) {
	cmd := exec.Command(name, args...)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	return cmd, cmd.Start()
}

func end(cmd *exec.Cmd) {
	_ = cmd.Process.Signal(syscall.SIGTERM)
	_ = cmd.Wait() // it was told to end; how it did is no news
}

// listens waits until an address takes connections.
func listens(addr net.Addr) error {
	for begin := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		c, err := net.Dial("tcp", addr.String())
		if err == nil {
			return c.Close()
		}
		if time.Since(begin) > peer.HeadWait {
			return fmt.Errorf("%s: %w", addr, err)
		}
	}
}
