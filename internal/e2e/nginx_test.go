// A node behind nginx as it is installed: it buffers answers, speaks HTTP/1.0 to the node, and
// passes no WebSocket on.

package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"c100k/internal/netlab"
)

// nginxConf has the places of the directory, of two servers and of the node behind them. The second
// server lets no stream of events through either. The header fields are those of Debian's
// proxy_params.
const nginxConf = `daemon off; master_process off; pid %[1]s/pid; error_log %[1]s/error.log;
events {}
http {
  access_log off;
  client_body_temp_path %[1]s/body; proxy_temp_path %[1]s/proxy; fastcgi_temp_path %[1]s/f; uwsgi_temp_path %[1]s/u; scgi_temp_path %[1]s/s;
  proxy_set_header Host $http_host;
  proxy_set_header X-Real-IP $remote_addr;
  proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
  proxy_set_header X-Forwarded-Proto $scheme;
  server { listen %[2]s; location / { proxy_pass http://%[4]s; } }
  server { listen %[3]s; location / { proxy_pass http://%[4]s; } location /sse { return 403; } }
}
`

// TestBehindNginx: in Chromium, polls bring each message at once, and the client of the node takes
// events. Where these are blocked too it says so, and polls still work. The client's pauses take
// some seconds.
func TestBehindNginx(t *testing.T) {
	t.Parallel()
	for _, tool := range []string{"nginx", "chromium"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip(tool + " is not there: run internal/e2e/setup.sh")
		}
	}
	n := serve(t, "--dev", "--history", "chat.>=100,5m")
	dir, open, closed := t.TempDir(), netlab.KeepPort(t), netlab.KeepPort(t)
	conf := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(conf, fmt.Appendf(nil, nginxConf, dir, open, closed, n.public), 0o600); err != nil {
		t.Fatal(err)
	}
	proxy := exec.Command("nginx", "-p", dir, "-c", conf)
	proxy.Stderr = os.Stderr
	if err := proxy.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = proxy.Process.Kill() // it has nothing to end
		_ = proxy.Wait()
	})
	n.eventually("nginx listens", func() error {
		p, err := tryDial(closed)
		if err == nil {
			p.Close()
		}
		return err
	})
	script(t, n, "nginx", t.TempDir(), "http://"+open, "http://"+closed)
}
