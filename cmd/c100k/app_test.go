// The program run in the test's own process: arguments, environment and input in; output and exit
// code out.

package main

import (
	"bytes"
	"context"
	"flag"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"go.uber.org/goleak"

	"c100k/internal/certs"
	"c100k/internal/doctor"
	"c100k/internal/settings"
	"c100k/server"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		_ = os.Unsetenv(asProgram) // or it would be a setting that is not known
		main()
	}
	goleak.VerifyTestMain(m)
}

// output is written by the program and read by the test at the same time.
type output struct {
	mu      sync.Mutex
	text    bytes.Buffer
	written chan struct{} // has a token when something was written
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	select {
	case o.written <- struct{}{}:
	default:
	}
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// await waits until the output contains the text.
func (o *output) await(t *testing.T, text string) {
	t.Helper()
	limit := time.After(30 * time.Second)
	for !strings.Contains(o.String(), text) {
		select {
		case <-o.written:
		case <-limit:
			t.Fatalf("no %q in the output:\n%s", text, o)
		}
	}
}

// program is a run of the program under test.
type program struct {
	app
	out, err *output
	signal   chan os.Signal
}

func newProgram(args ...string) *program {
	p := &program{out: &output{written: make(chan struct{}, 1)}, err: &output{written: make(chan struct{}, 1)}, signal: make(chan os.Signal, 4)}
	p.app = app{
		args: args, stdin: strings.NewReader(""), stdout: p.out, stderr: p.err,
		terminal: func(any) bool { return false },
		signals:  func(...os.Signal) (<-chan os.Signal, func()) { return p.signal, func() {} },
		newNode:  func(server.Config, logSettings, *slog.LevelVar) (node, error) { panic("this test starts no node") },
		host:     bareHost,
		ports:    func() (*server.Ports, error) { return nil, nil },
		pause:    func(ctx context.Context, _ time.Duration) error { return ctx.Err() },
	}
	return p
}

// bareHost is a machine without a limit that could be seen.
func bareHost() doctor.Host {
	return doctor.Host{Root: fstest.MapFS{}, OpenFiles: func() (int64, int64) { return -1, -1 }, Uring: func() error { return nil }, PageSize: 4096}
}

func (p *program) exec(t *testing.T) (code int, out, err string) {
	t.Helper()
	code = p.run(t.Context())
	return code, p.out.String(), p.err.String()
}

// start runs the program beside the test; the channel gives its exit code.
func (p *program) start(t *testing.T) <-chan int {
	t.Helper()
	code := make(chan int, 1)
	go func() { code <- p.run(t.Context()) }()
	return code
}

func TestCommandLines(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good := write("good.yaml", "rate: 20/s\norigin: [https://example.com]\n")
	typo := write("typo.yaml", "listen: :8080\nmax-mesage: 1MiB\n")
	bad := write("bad.yaml", "max-message: banana\n")
	workers := write("workers.yaml", "workers: 99\n")
	tests := []struct {
		args string // split at spaces
		env  string
		code int
		want string // part of the output, or of the errors unless the code is 0
	}{
		{"", "", 0, "Examples:\n  c100k serve --dev"},
		{"--help", "", 0, "Commands:"},
		{"-h", "", 0, "Commands:"},
		{"help serve", "", 0, "Runs a node"},
		{"help", "", 0, "Commands:"},
		{"help srve", "", 2, `unknown command "srve"; did you mean c100k serve?`},
		{"config", "", 0, "c100k config init c100k.yaml"},
		{"--version", "", 0, "c100k devel"},
		{"version", "", 0, "go1."},
		{"version --json", "", 0, `"version": "devel"`},
		{"version", "C100K_VERSION_JSON=on", 0, `"version": "devel"`},

		{"srve --dev", "", 2, `c100k: unknown command "srve"; did you mean c100k serve?`},
		{"frobnicate", "", 2, `unknown command "frobnicate"; see c100k --help`},
		{"config shwo", "", 2, "did you mean c100k config show?"},
		{"config --dev", "", 2, "--dev is a flag of a command, and comes after it: c100k config check --dev"},
		{"--dev serve", "", 2, "--dev is a flag of a command, and comes after it: c100k serve --dev"},
		{"--nothing", "", 2, "unknown flag --nothing; see c100k --help"},
		{"serve --lisetn :1", "", 2, "unknown flag --lisetn; did you mean --listen?"},
		{"serve --lisetn=:1", "", 2, "unknown flag --lisetn; did you mean --listen?"},
		{"serve -listen :1", "", 2, "unknown flag -listen; did you mean --listen?"},
		{"serve -x", "", 2, "unknown flag -x; see c100k serve --help"},
		{"serve --max_conns 5", "", 2, "did you mean --max-conns?"},
		{"serve --listen", "", 2, "--listen needs a value: --listen HOST:PORT"},
		{"serve --=x", "", 2, "bad flag syntax"},
		{"serve extra", "", 2, `takes no arguments, and "extra" is too much`},
		{"pub", "", 2, "needs a TOPIC and DATA"},
		{"pub a b c", "", 2, `"c" is too much`},
		{"sub", "", 2, "needs at least one TOPIC"},
		{"completion", "", 2, "needs a shell"},
		{"completion bahs", "", 2, "did you mean bash?"},
		{"completion bash", "", 0, "bash completion V2 for c100k"},
		{"completion zsh", "", 0, "#compdef c100k"},
		{"completion fish", "", 0, "fish completion for c100k"},
		{"completion powershell", "", 0, "powershell completion for c100k"},
		{"__complete serve --slow-consumer drop", "", 0, "drop-oldest"},

		{"serve --max-message banana", "", 2, `--max-message: "banana" is not a size`},
		{"serve --workers 65", "", 2, "--workers: 65 is refused; allowed are 1 to 64, or auto"},
		{"doctor --workers 65", "", 2, "--workers: 65 is refused; allowed are 1 to 64, or auto"},
		{"serve --workers 20 --loops 13", "", 2, "--loops: 13 is refused; allowed are 256 over all 20 workers"},
		{"serve --bus rabbit://user:secret@h", "", 2, `--bus: "rabbit://user:xxxxx@h" is refused;`},
		{"serve --bus natss://secret@h", "", 2, `--bus: "natss://xxxxx@h" is refused; allowed are memory, nats://HOST:PORT`},
		{"serve --bus redis://h", "C100K_DRAIN=x", 78, `C100K_DRAIN: "x" is not a duration`},
		{"serve", "C100K_WORKERS=0x", 78, `C100K_WORKERS: "0x" is not`},
		{"serve --workers 99", "C100K_BUS=rabbit://h", 78, "--workers: 99 is refused"},
		{"serve", "C100K_MAX_MESAGE=1", 78, "C100K_MAX_MESAGE: there is no such setting; did you mean C100K_MAX_MESSAGE?"},
		{"serve --config " + typo, "", 78, typo + `:2: there is no setting "max-mesage"; did you mean max-message?`},
		{"serve", "C100K_CONFIG=" + bad, 78, bad + `:1: max-message: "banana" is not a size`},
		{"serve --config " + workers, "", 78, workers + ":1: workers: 99 is refused; allowed are 1 to 64"},
		{"serve --config " + dir + "/none", "", 78, "none: cannot be read: no such file or directory (named by --config)"},
		{"serve --max-conns 16000000", "", 2, "raise the limit to 16000128"},
		{"serve --listen nowhere", "", 2, `--listen: "nowhere" is refused; allowed is HOST:PORT`},
		{"serve --outbox 1KiB", "", 2, "--outbox: 1024 is refused; allowed are 65536 to"},
		{"serve --require-token", "", 2, "--require-token: true is refused; nobody could have a valid token: give keys with --token-key or --token-jwks"},
		{"serve --tls-cert none.pem", "", 2, "--tls-key: 0 keys is refused"},
		{"serve --api-key short", "", 2, "--api-key: 5 characters long is refused"},
		{"pub a b --api-key long-enough --api-key-file /x", "", 2, "--api-key-file: \"/x\" is refused; a key is given as well"},
		{"pub a b --api-key-file /nonexistent", "", 1, "read the API key: open /nonexistent"},
		{"pub a b --rate 5/d", "", 2, `--rate: "5/d" is not a rate`},
		{"pub a b", "C100K_PUB_RATE=5/d", 78, `C100K_PUB_RATE: "5/d" is not a rate`},
		{"pub a b --json --text", "", 2, "exclude each other"},
		{"pub a b --json", "", 2, "is not valid JSON"},
		{"pub a \xff --text", "", 2, "not valid UTF-8"},
		{"pub a b --admin-url 127.0.0.1:9100", "", 2, `--admin-url: "127.0.0.1:9100" is refused`},
		{"pub a b", "C100K_ADMIN_URL=ftp://x", 78, `C100K_ADMIN_URL: "ftp://x" is refused`},
		{"sub a --url http://x", "", 2, `--url: "http://x" is refused`},
		{"sub a --count x", "", 2, `--count: "x" is not a whole number`},

		{"config check", "", 0, "configuration: ok"},
		{"config check " + good, "", 0, good + ": ok"},
		{"config check --config " + good, "C100K_PORT_80_TCP=tcp://10.0.0.1:80", 0, ": ok"},
		{"config check " + typo, "", 78, "did you mean max-message?\n   1 | listen: :8080\n>  2 | max-mesage: 1MiB\n       ^"},
		{"config check --public-topics news,chat.*,*", "", 0, "note: public-topics: chat.*: * is one level now: chat.* does not match chat.a.b; write chat.> if it should\n" +
			"note: public-topics: *: * is one level now, and matches no topic with a dot: write > for all topics\nconfiguration: ok"},
		{"config check --public-topics chat*", "", 2, "write chat and chat.> if levels were meant"},
		{"config check --loops 999", "", 2, "--loops: 999 is refused"},
		{"config check a b", "", 2, `"b" is too much`},
		{"config check --tls-cert /no/a.crt --api-key-file /no/key --loops 999", "", 2, "c100k: --api-key-file: read the API key: open /no/key"},
		{"config check --static /no/dir", "", 2, "c100k: --static: open /no/dir: no such file or directory\n"},
		{"config check --static " + good, "", 2, "not a directory"},
		{"config check", "C100K_STATIC=/no/dir", 78, "c100k: C100K_STATIC: open"},
		{"config check --state-dir " + good + "/x", "", 2, "c100k: --state-dir: stat " + good + "/x: not a directory\n"},
		{"config check --history a=1,1m --history-dir " + good, "", 2, good + " is no directory\n"},
		{"config check --state-dir " + dir + "/x/y", "", 0, "configuration: ok"},
		{"config check --bus nats://127.0.0.1:1 --bus-creds /no/file", "", 2, "c100k: --bus-creds: open /no/file: no such file or directory\n"},
		{"config show --config " + good + " --dev", "C100K_DRAIN=5s", 0, "drain: 5s                                    # environment C100K_DRAIN\n"},
		{"config show --dev", "", 0, "listen: \"127.0.0.1:8080\"                     # default\n"},
		{"config show --config " + good, "", 0, "rate: 20/s                                   # " + good + ":1\n"},
		{"config show --workers 2", "", 0, "workers: 2 "},
		{"config show --workers auto --max-conns 10", "", 0, "workers: 1 "},
		{"config show --workers 99", "", 2, "--workers: 99 is refused"},
		{"config init", "", 0, "#max-message: 64KiB\n"},
		{"config init " + good, "", 1, "is there already; --force writes over it"},
		{"config init " + dir + "/new.yaml", "", 0, ""},
		{"config init " + dir + "/new.yaml --force", "", 0, ""},
		{"config check " + dir + "/new.yaml", "", 0, "new.yaml: ok"},
		{"config init /nonexistent/new.yaml", "", 1, "no such file"},
	}
	for _, test := range tests {
		p := newProgram(strings.Fields(test.args)...)
		p.environ = strings.Fields(test.env)
		code, out, errors := p.exec(t)
		text := out
		if test.code != 0 {
			text = errors
		}
		if code != test.code || !strings.Contains(text, test.want) {
			t.Errorf("%s c100k %s: exit code %d, want %d and %q\n%s%s", test.env, test.args, code, test.code, test.want, out, errors)
		}
		if test.code != 0 && !strings.HasPrefix(errors, "c100k: ") {
			t.Errorf("c100k %s: error is %q", test.args, errors)
		}
		if strings.Contains(errors, "secret") {
			t.Errorf("c100k %s tells a secret: %s", test.args, errors)
		}
	}
}

// The golden files are what a user sees: read them when they change.
func TestHelp(t *testing.T) {
	for _, command := range []string{"", "serve", "pub", "sub", "history", "emit", "doctor", "load", "load compare", "config", "config check", "config show", "config init", "version", "completion", "man"} {
		code, out, errors := newProgram(append(strings.Fields(command), "--help")...).exec(t)
		if code != 0 || errors != "" {
			t.Errorf("%s --help: %d, %s", command, code, errors)
		}
		if strings.Contains(out, "\t") {
			t.Errorf("%s --help has a tab", command)
		}
		path := filepath.Join("testdata", "help", strings.ReplaceAll("c100k "+command, " ", "-")+".txt")
		path = strings.ReplaceAll(path, "c100k-.txt", "c100k.txt")
		if *update {
			if err := os.WriteFile(path, []byte(out), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		golden, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if out != string(golden) {
			t.Errorf("%s --help differs from %s; if it should, run go test ./cmd/c100k -update. Got:\n%s", command, path, out)
		}
	}
}

func TestEveryFlagIsExplained(t *testing.T) {
	for _, row := range settings.Table(&settings.Options{}) {
		for _, command := range row.Commands {
			_, out, _ := newProgram(append(strings.Fields(command), "--help")...).exec(t)
			for _, want := range []string{"  " + row.Flag(), row.Help, row.Env()} {
				if !strings.Contains(out, want) {
					t.Errorf("%s --help has no %q", command, want)
				}
			}
		}
	}
}

func TestDoctor(t *testing.T) {
	host := func() doctor.Host {
		h := bareHost()
		h.OpenFiles = func() (int64, int64) { return 1024, 20128 }
		return h
	}
	file, bad := filepath.Join(t.TempDir(), "c.yaml"), filepath.Join(t.TempDir(), "bad.yaml")
	for path, text := range map[string]string{file: "max-conns: 15000\nworkers: 3\n", bad: "max-conns: many\n"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct {
		args string
		code int
		want string
	}{
		{"doctor --config " + file, 0, "15000 fit, in 3 workers"},
		{"doctor --workers 1 --config " + file, 0, "holds 20000 connections"},
		{"doctor --config " + file + "x", 78, "cannot be read"},
		{"doctor --config " + bad, 78, "bad.yaml:1: max-conns: "},
		{"doctor --conns 20000 --workers 1", 0, "holds 20000 connections; what limits it is: open files of the process. 20000 fit."},
		{"doctor --conns 20001 --workers 1", 1, "20001 do not fit."},
		{"doctor --conns 20001 --workers 1 --json", 1, `"holds": 20000,`},
		{"doctor --conns 20001", 0, "20001 fit, in 2 workers, since one process may have 20000 open:\n    c100k serve --workers auto --max-conns 20001\n"},
		{"doctor", 0, "100000 fit, in 6 workers"},
		{"doctor --json", 0, `"workers": 6,`},
		{"doctor --with-load --json", 0, `"needed": "201536"`},
	} {
		p := newProgram(strings.Fields(test.args)...)
		p.host = host
		code, out, errors := p.exec(t)
		if code != test.code || !strings.Contains(out+errors, test.want) || errors != "" && code != exitConfig {
			t.Errorf("%s: exit code %d, want %d and %q\n%s%s", test.args, code, test.code, test.want, out, errors)
		}
	}
}

// Certificates of the configuration are in the report, and one that cannot be used is a failure.
func TestDoctorLooksAtCertificates(t *testing.T) {
	dir := t.TempDir()
	made, err := certs.Self(time.Now(), "push.example")
	if err != nil {
		t.Fatal(err)
	}
	cert, key, file := filepath.Join(dir, "a.crt"), filepath.Join(dir, "a.key"), filepath.Join(dir, "c.yaml")
	text := "workers: 2\ntls-cert: [" + cert + "]\ntls-key: [" + key + "]\n"
	for path, content := range map[string][]byte{cert: made.Cert, key: made.Key, file: []byte(text)} {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"--config", file}, 0, "certificate localhost "},
		{[]string{"--tls-cert", cert, "--tls-key", key, "--json"}, 0, `"certificates": [`},
		{[]string{"--tls-cert", cert, "--tls-key", cert}, 1, "cannot be used"},
		{[]string{"--tls-cert", cert}, 2, "each of the 1 certificates needs its key"},
		{[]string{"--acme", "push.example", "--acme-storage", dir}, 1, "push.example.crt: no such file"},
	} {
		p := newProgram(append([]string{"doctor", "--conns", "100"}, test.args...)...)
		p.host = bareHost
		if code, out, errs := p.exec(t); code != test.code || !strings.Contains(out+errs, test.want) {
			t.Errorf("%v: exit code %d, want %d and %q\n%s%s", test.args, code, test.code, test.want, out, errs)
		}
	}
}

// What doctor says a process holds is what serve takes as its limit.
func TestDoctorAgreesWithServer(t *testing.T) {
	host := doctor.ThisHost()
	host.Root = os.DirFS(t.TempDir())
	_, hard := host.OpenFiles()
	if hard < 0 || hard > 1<<24 {
		t.Skip("no limit on open files to agree on")
	}
	host.OpenFiles = func() (int64, int64) { return hard, int64(server.OpenFiles()) }
	if got, want := doctor.Examine(host, doctor.Want{Conns: 1, Workers: 1, Node: true}).Holds, int64(server.Config{}.WithDefaults().MaxConns); got != want {
		t.Errorf("doctor: %d, server: %d", got, want)
	}
	room := server.Config{}.WithDefaults().MaxConns
	for _, conns := range []int{1, room, room + 1, 2 * room, 5 * room, 5*room + 1, 100_000, 115_000} {
		got := doctor.WorkersFor(int64(conns), int64(room))
		want := server.Config{Workers: server.WorkersAuto, MaxConns: conns}.WithDefaults().Workers
		if got != int64(want) && want <= server.WorkersMax {
			t.Errorf("%d connections: doctor: %d workers, server: %d", conns, got, want)
		}
	}
	if doctor.WorkersMax != server.WorkersMax {
		t.Errorf("at most: doctor: %d, server: %d", doctor.WorkersMax, server.WorkersMax)
	}
}
