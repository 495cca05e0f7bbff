// Tests of `serve`: signals, reload, exit codes, start text; with a node that only pretends, and
// once with a real one.

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"c100k/internal/doctor"
	"c100k/server"
)

// pretender is a node whose every step the test decides.
type pretender struct {
	config   server.Config
	listen   error         // what ListenAndServe returns at once; nil: it serves
	reload   error         // what Reload returns
	reloaded server.Config // what Reload was given
	notes    atomic.Int32  // calls of NoteReload
	draining chan struct{} // closed when Shutdown is called
	drained  chan error    // what Shutdown returns
	end      chan error    // what ListenAndServe returns
}

func (p *pretender) ListenAndServe(context.Context) error {
	if p.listen != nil {
		return p.listen
	}
	p.config.OnListen(&net.TCPAddr{IP: net.IPv6zero, Port: 8080}, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 9100})
	return <-p.end
}

func (p *pretender) Shutdown(ctx context.Context) error {
	close(p.draining)
	select {
	case err := <-p.drained:
		p.end <- server.ErrServerClosed
		return err
	case <-ctx.Done():
		p.end <- server.ErrServerClosed
		return ctx.Err()
	}
}

func (p *pretender) Reload(c server.Config) error {
	p.reloaded = c
	return p.reload
}

func (p *pretender) NoteReload(error) { p.notes.Add(1) }

func pretend(args ...string) (*program, *pretender) {
	p := newProgram(append([]string{"serve"}, args...)...)
	n := &pretender{draining: make(chan struct{}), drained: make(chan error, 1), end: make(chan error, 1)}
	p.newNode = func(c server.Config, where logSettings, level *slog.LevelVar) (node, error) {
		n.config = c
		return n, nil
	}
	p.terminal = func(stream any) bool { return stream == io.Writer(p.out) }
	return p, n
}

func TestServeDrains(t *testing.T) {
	p, n := pretend("--dev", "--rate", "20/s")
	code := p.start(t)
	p.out.await(t, "Ctrl-C drains")
	if n.config.Listen != "127.0.0.1:8080" || n.config.Rate != 20 || n.config.Logger == nil || n.config.MaxConns == 0 {
		t.Errorf("the node got %+v", n.config)
	}
	for _, want := range []string{"demo    http://localhost:8080/ ", "ws://localhost:8080/ws?topic=news", "curl -d 'hello, all' http://127.0.0.1:9100/v1/topics/news"} {
		if !strings.Contains(p.out.String(), want) {
			t.Errorf("no %q in\n%s", want, p.out)
		}
	}
	p.signal <- syscall.SIGTERM
	<-n.draining
	n.drained <- nil
	if got := <-code; got != 0 {
		t.Errorf("exit code %d: %s", got, p.err)
	}
}

// What the box lacks is said once and in one line each, and never keeps a node from serving.
func TestServeWarnsOfLimits(t *testing.T) {
	host := func() doctor.Host {
		h := bareHost()
		h.Root = fstest.MapFS{
			"proc/sys/net/core/somaxconn":             {Data: []byte("128\n")},
			"proc/sys/net/netfilter/nf_conntrack_max": {Data: []byte("100\n")},
		}
		h.Uring = func() error { return syscall.EPERM }
		return h
	}
	const queue = `msg="a limit of this box is low" limit=net.core.somaxconn value=128 needed=4096 lift="sysctl -w net.core.somaxconn=4096"`
	const tracked = `limit=nf_conntrack_max value="100, 0 in use" needed=101 lift="sysctl -w net.netfilter.nf_conntrack_max=101"`
	for _, test := range []struct {
		args string
		want []string
	}{
		{"", []string{queue, "limit=io_uring"}},
		{"--max-conns 101", []string{tracked, queue, "limit=io_uring"}},
		{"--max-conns 101 --io syscall", []string{tracked, queue}},
		{"--max-conns 100 --io syscall", []string{queue}},
	} {
		p, n := pretend(append(strings.Fields(test.args), "--log-format", "text")...)
		p.host, n.listen = host, server.ErrServerClosed
		code, _, log := p.exec(t)
		if got := strings.Count(log, "level=WARN"); code != 0 || got != len(test.want) {
			t.Errorf("%q: exit code %d, %d warnings, want %d\n%s", test.args, code, got, len(test.want), log)
		}
		for _, want := range test.want {
			if !strings.Contains(log, want) {
				t.Errorf("%q: no %s in\n%s", test.args, want, log)
			}
		}
	}
}

func TestServeSecondSignal(t *testing.T) {
	p, n := pretend()
	code := p.start(t)
	p.out.await(t, "no topic is open")
	p.signal <- syscall.SIGINT
	<-n.draining
	p.signal <- syscall.SIGINT
	if got := <-code; got != 1 || !strings.Contains(p.err.String(), "stopped at once by a second signal") {
		t.Errorf("exit code %d: %s", got, p.err)
	}
}

func TestServeEnds(t *testing.T) {
	for _, test := range []struct {
		name string
		err  error
		code int
		want string
	}{
		{"by the API", server.ErrServerClosed, 0, ""},
		{"without a word", nil, 0, ""},
		{"port taken", fmt.Errorf("%w on :80: %w", server.ErrListen, syscall.EADDRINUSE), 3, "c100k: cannot listen on :80: address already in use\n"},
		{"broken", errors.New("loop 0 ended"), 1, "c100k: loop 0 ended\n"},
		{"history", fmt.Errorf("%w: %w: the disk is full", server.ErrBus, server.ErrHistory), 1, "the disk is full\n"},
		{"unusable file", &server.SettingError{Field: "Static", Err: errors.New("no such directory")}, 78, "c100k: --static: no such directory\n"},
	} {
		p, n := pretend()
		n.listen = test.err
		if test.err == nil {
			n.end <- nil
		}
		if code, _, got := p.exec(t); code != test.code || !strings.Contains(got, test.want) {
			t.Errorf("%s: exit code %d, want %d and %q: %s", test.name, code, test.code, test.want, got)
		}
	}
	p, _ := pretend("--api-key-file", "/nonexistent")
	p.newNode = func(server.Config, logSettings, *slog.LevelVar) (node, error) {
		return nil, &server.FieldError{Field: "APIKeyFile", Given: `"/nonexistent"`, Allowed: "no such file"}
	}
	if code, _, got := p.exec(t); code != 2 || !strings.Contains(got, `--api-key-file: "/nonexistent" is refused; no such file`) {
		t.Errorf("exit code %d: %s", code, got)
	}
	p, n := pretend()
	code := p.start(t)
	p.out.await(t, "running")
	p.signal <- syscall.SIGTERM
	<-n.draining
	n.drained <- errors.New("drain failed")
	if got := <-code; got != 1 || !strings.Contains(p.err.String(), "c100k: drain failed") {
		t.Errorf("exit code %d: %s", got, p.err)
	}
}

func TestServeReloads(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c100k.yaml")
	write := func(content string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("public-topics: [a]\n")
	p, n := pretend("--config", path, "--rate", "5/s")
	p.environ = []string{"C100K_LOG_FORMAT=json"}
	code := p.start(t)
	p.out.await(t, "running")

	steps := []struct {
		file   string
		reload error
		want   string
	}{
		{"public-topics: [a, b]\nlog-level: debug\n", nil, `"msg":"configuration reloaded","changed":["public-topics: a → a,b","log-level: info → debug"]`},
		{"public-topcis: [c]\n", nil, `there is no setting \"public-topcis\"; did you mean public-topics?`},
		{"workers: 99\n", nil, `workers: 99 is refused; allowed are 1 to 64`},
		{"log-format: text\nmax-message: x\n", nil, `\"x\" is not a size`},
		{"loops: 7\n", errors.New("Loops needs a restart"), `"err":"Loops needs a restart"`},
		{"max-conns: 16000000\n", nil, `raise the limit to`},
	}
	for _, step := range steps {
		write(step.file)
		n.reload = step.reload
		p.signal <- syscall.SIGHUP
		p.err.await(t, step.want)
	}
	if got := strings.Count(p.err.String(), `"level":"ERROR","msg":"configuration not reloaded; the old one stays"`); got != len(steps)-1 {
		t.Errorf("%d reloads failed, want %d:\n%s", got, len(steps)-1, p.err)
	}
	if got := n.notes.Load(); got != 4 { // the others came to Reload
		t.Errorf("%d reloads were noted that failed early, want 4", got)
	}
	if n.reloaded.Rate != 5 || n.reloaded.Loops != 7 {
		t.Errorf("flags must stay above the file: %+v", n.reloaded)
	}
	p.signal <- syscall.SIGTERM
	<-n.draining
	n.drained <- nil
	if got := <-code; got != 0 {
		t.Errorf("exit code %d", got)
	}
}

func TestServeLogsToAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	p, n := pretend("--log-file", path)
	p.terminal = func(any) bool { return true } // and the file gets JSON
	made := p.newNode
	p.newNode = func(c server.Config, where logSettings, level *slog.LevelVar) (node, error) {
		c.Logger.Info("hello")
		return made(c, where, level)
	}
	n.end <- nil
	if code, _, got := p.exec(t); code != 0 || got != "" {
		t.Errorf("exit code %d, standard error %q", code, got)
	}
	if got, err := os.ReadFile(path); !strings.Contains(string(got), `"msg":"hello"`) {
		t.Errorf("%q, %v", got, err)
	}
	p, _ = pretend("--log-file", filepath.Join(path, "x"))
	if code, _, got := p.exec(t); code != exitUsage || !strings.HasPrefix(got, "c100k: --log-file: ") {
		t.Errorf("a file in no directory: exit code %d, %q", code, got)
	}
}

func TestServeLogs(t *testing.T) {
	for _, test := range []struct {
		args     []string
		terminal bool
		want     string
	}{
		{nil, false, `"level":"INFO","msg":"hello","in":"1m30s"`},
		{nil, true, `level=INFO msg=hello`},
		{[]string{"--log-format", "text"}, false, `level=INFO msg=hello`},
		{[]string{"--log-format", "json"}, true, `"msg":"hello"`},
		{[]string{"--log-level", "warn"}, false, ``},
	} {
		p, n := pretend(test.args...)
		p.terminal = func(any) bool { return test.terminal }
		made := p.newNode
		p.newNode = func(c server.Config, where logSettings, level *slog.LevelVar) (node, error) {
			c.Logger.Info("hello", "in", 90*time.Second)
			return made(c, where, level)
		}
		n.end <- nil
		if code, _, got := p.exec(t); code != 0 || !strings.Contains(got, test.want) || test.want == "" && got != "" {
			t.Errorf("%v: exit code %d, want %q: %s", test.args, code, test.want, got)
		}
	}
}

// TestRealNode runs all three commands against each other.
func TestRealNode(t *testing.T) {
	p := newProgram("serve", "--dev", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--drain", "0s", "--max-conns", "100")
	var public, admin string
	up := make(chan struct{})
	p.newNode = func(c server.Config, where logSettings, level *slog.LevelVar) (node, error) {
		tell := c.OnListen
		c.OnListen = func(pub, adm net.Addr) {
			tell(pub, adm)
			public, admin = pub.String(), adm.String()
			close(up)
		}
		return newNode(c, where, level)
	}
	served := p.start(t)
	<-up

	sub := newProgram("sub", "news", "sports", "--count", "3", "--url", "ws://"+public+"/ws")
	subscribed := sub.start(t)
	for !hasSubscriber(t, admin, "sports") {
	}
	for _, args := range [][]string{{"news", "hello"}, {"sports", `{"a":1}`, "--json"}, {"news", "\xff\x00", "--binary"}} {
		code, out, errs := newProgram(append([]string{"pub", "--admin-url", "http://" + admin}, args...)...).exec(t)
		if code != 0 || out != "matched 1\n" {
			t.Errorf("pub %q: %d %s%s", args, code, out, errs)
		}
	}
	if code := <-subscribed; code != 0 || sub.out.String() != "news\thello\nsports\t{\"a\":1}\nnews\t\xff\x00\n" {
		t.Errorf("sub: %d %q %s", code, sub.out, sub.err)
	}
	if code, _, errs := newProgram("pub", "bad\ttopic", "x", "--admin-url", "http://"+admin).exec(t); code != 1 || !strings.Contains(errs, "(HTTP 400)") {
		t.Errorf("bad topic: %d %s", code, errs)
	}
	busy := newProgram("serve", "--listen", public, "--admin", "")
	busy.newNode = newNode
	if code, _, errs := busy.exec(t); code != 3 || !strings.HasPrefix(errs, "c100k: cannot listen on ") || !strings.Contains(errs, "address already in use") {
		t.Errorf("second node: %d %s", code, errs)
	}
	p.signal <- syscall.SIGTERM
	if code := <-served; code != 0 || strings.Contains(p.err.String(), "ERROR") {
		t.Errorf("serve: %d %s", code, p.err)
	}
}

// A file that cannot be used is a wrong setting, at a start and for `config check`: 2 where a flag
// names it, 78 elsewhere.
func TestUnusableFiles(t *testing.T) {
	for _, test := range []struct {
		args, env string
		code      int
		want      string
	}{
		{"serve --static /no/dir", "", 2, "c100k: --static: open"},
		{"serve", "C100K_STATIC=/no/dir", 78, "c100k: C100K_STATIC: open"},
		{"serve --token-key /no/key", "", 2, "c100k: --token-key: token key /no/key: open /no/key"},
		{"serve --api-key-file /no/key", "", 2, "c100k: --api-key-file: read the API key: open /no/key"},
		{"serve --hook-connect http://127.0.0.1:1/ --hook-secret-file /no/key", "", 2, "c100k: --hook-secret-file: read the secret"},
		{"config check --hook-connect http://127.0.0.1:1/ --hook-secret-file /no/key", "", 2, "c100k: --hook-secret-file: read the secret"},
		{"config check --cluster :0 --cluster-secret-file /no/key", "", 2, "c100k: --cluster-secret-file: read the cluster's secret: open /no/key"},
	} {
		p := newProgram(strings.Fields(test.args + " --listen 127.0.0.1:0 --admin= --max-conns 100")...)
		p.newNode, p.environ = newNode, strings.Fields(test.env)
		if code, _, errs := p.exec(t); code != test.code || !strings.HasPrefix(errs, test.want) {
			t.Errorf("%s %s: exit code %d, want %d and %q: %s", test.env, test.args, code, test.code, test.want, errs)
		}
	}
}

// hasSubscriber asks the node whether anybody subscribes to a topic.
func hasSubscriber(t *testing.T, admin, topic string) bool {
	t.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Get("http://" + admin + "/v1/topics/" + topic)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	return response.StatusCode == http.StatusOK
}
