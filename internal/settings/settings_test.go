// Tests of the table: every row in every layer, and that all that is derived from it agrees.

package settings

import (
	"bytes"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"c100k/server"
)

func load(t *testing.T, yaml string, env []string, flags Flags) (*Loaded, error) {
	t.Helper()
	if yaml != "" {
		if flags == nil {
			flags = Flags{}
		}
		flags["config"] = []string{"c.yaml"}
	}
	return Load(Input{Command: "serve", Flags: flags, Environ: env, ReadFile: func(path string) ([]byte, error) {
		if path != "c.yaml" {
			return nil, &os.PathError{Op: "open", Path: path, Err: os.ErrNotExist}
		}
		return []byte(yaml), nil
	}})
}

func TestDefaultsAreTheServers(t *testing.T) {
	loaded, err := load(t, "", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(loaded.Options.Node, server.Defaults()) {
		t.Errorf("got %+v, want %+v", loaded.Options.Node, server.Defaults())
	}
	if err := loaded.Options.Node.Validate(); err != nil {
		t.Error(err)
	}
}

func TestRowsAreWhole(t *testing.T) {
	options := defaults()
	node := reflect.ValueOf(&options.Node).Elem()
	flags, envs, fields := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, row := range Table(options) {
		if row.Name == "" || row.Help == "" || len(row.Commands) == 0 || row.Value == nil || strings.HasSuffix(row.Help, ".") {
			t.Errorf("row is not whole: %+v", row)
		}
		for _, command := range row.Commands {
			if key := command + row.Flag(); flags[key] {
				t.Errorf("%s twice", key)
			} else {
				flags[key] = true
			}
		}
		if envs[row.Env()] {
			t.Errorf("%s twice", row.Env())
		}
		envs[row.Env()] = true
		if row.Field == "" {
			continue
		}
		fields[row.Field] = true
		field := node.FieldByName(row.Field)
		if !field.IsValid() {
			t.Errorf("%s: no field %s", row.Name, row.Field)
			continue
		}
		before := fmt.Sprint(field.Interface())
		if err := row.Value.Set([]string{different(row)}); err != nil {
			t.Errorf("%s: %v", row.Name, err)
		}
		if fmt.Sprint(field.Interface()) == before {
			t.Errorf("%s does not fill %s", row.Name, row.Field)
		}
	}
	for i := range node.NumField() {
		if !node.Type().Field(i).IsExported() {
			continue // set by tests of package server
		}
		switch name := node.Type().Field(i).Name; name {
		case "Handler", "Logger", "Registry", "OnListen", "Worker", "Authenticate", "SocketIO", "WebSockets", "ReturnMemory", "TLS", "Ports": // only a Go program can set these
		default:
			if !fields[name] {
				t.Errorf("server.Config.%s has no row", name)
			}
		}
	}
}

// different is a text the row takes that is not its default.
func different(row Setting) string {
	if choices := row.Value.Choices(); choices != nil {
		for _, choice := range choices {
			if choice != row.Value.String() {
				return choice
			}
		}
	}
	switch row.Value.Type() {
	case "":
		return "on"
	case "N", "N|auto", "SIZE", "SIZE|auto", "RATE":
		return "7"
	case "DURATION":
		return "7s"
	case "PART":
		return "0.25"
	case "CIDR,...":
		return "10.0.0.0/8"
	default:
		return "other"
	}
}

func TestEveryLayerSetsEveryRow(t *testing.T) {
	for _, row := range Table(defaults()) {
		if !row.File {
			continue
		}
		want := different(row)
		for name, try := range map[string]func() (*Loaded, error){
			"flag": func() (*Loaded, error) { return load(t, "", nil, Flags{row.Name: {want}}) },
			"env":  func() (*Loaded, error) { return load(t, "", []string{row.Env() + "=" + want}, nil) },
			"file": func() (*Loaded, error) { return load(t, row.Name+": "+want+"\n", nil, nil) },
		} {
			loaded, err := try()
			if err != nil {
				t.Errorf("%s by %s: %v", row.Name, name, err)
				continue
			}
			for _, got := range loaded.rows {
				if got.Name == row.Name && got.On("serve") && got.Value.String() == row.Value.String() {
					t.Errorf("%s by %s: still %q", row.Name, name, got.Value)
				}
			}
			if !loaded.Given(row.Name) {
				t.Errorf("%s by %s: source is the default", row.Name, name)
			}
		}
	}
}

func TestHigherLayerWins(t *testing.T) {
	yaml := "rate: 1\nping-interval: 11s\ndrain: 0\norigin: [https://a, 'https://b']\npublic-topics:\n  - news\n  - 'a,b'\nmax-message: 1048576\n"
	env := []string{"C100K_RATE=120/m", "C100K_PING_TIMEOUT=12s", "HOME=/root", "C100K_TRUSTED_PROXIES=10.0.0.0/8, ::1", "C100K_PUB_RATE=bad"}
	loaded, err := load(t, yaml, env, Flags{"rate": {"3/s", "4/s"}, "origin": {"https://c,https://d", "https://e"}})
	if err != nil {
		t.Fatal(err)
	}
	n := &loaded.Options.Node
	if n.Rate != 4 || n.PingInterval != 11*time.Second || n.PingTimeout != 12*time.Second || n.Drain != server.Off || n.MaxMessage != 1<<20 {
		t.Errorf("got %+v", n)
	}
	if got := strings.Join(n.Origins, " "); got != "https://c https://d https://e" {
		t.Errorf("origins %s: a list replaces the one below it", got)
	}
	if got := strings.Join(n.PublicTopics, " "); got != "news a,b" {
		t.Errorf("topics %s", got)
	}
	if got := fmt.Sprint(n.TrustedProxies); got != "[10.0.0.0/8 ::1/128]" {
		t.Errorf("proxies %s", got)
	}
	for name, want := range map[string]string{"rate": "--rate", "ping-interval": "c.yaml:2", "ping-timeout": "C100K_PING_TIMEOUT", "io": "default", "public-topics": "c.yaml:5"} {
		if got := loaded.Source(name).String(); got != want {
			t.Errorf("%s from %s, want %s", name, got, want)
		}
	}
}

func TestProblemsNameTheirPlace(t *testing.T) {
	tests := []struct {
		name  string
		yaml  string
		env   []string
		flags Flags
		want  string // the first line
	}{
		{"flag", "", nil, Flags{"max-message": {"banana"}}, `--max-message: "banana" is not a size: write 65536, 64KiB or 1MiB`},
		{"variable", "", []string{"C100K_DRAIN=30"}, nil, `C100K_DRAIN: "30" has no unit: write 30s or 30ms`},
		{"empty variable", "", []string{"C100K_RATE="}, nil, `C100K_RATE: "" is not a rate`},
		{"file", "\n\nmax-conns: -5\n", nil, nil, `c.yaml:3: max-conns: -5 is negative`},
		{"choice", "io: epol\n", nil, nil, `c.yaml:1: io: "epol" is not one of auto, uring, syscall`},
		{"choice, near", "slow-consumer: drop-odlest\n", nil, nil, `did you mean drop-oldest?`},
		{"unknown key", "dev: on\nmax_mesage: 1\n", nil, nil, `c.yaml:2: there is no setting "max_mesage"; did you mean max-message?`},
		{"far key", "zebra: 1\n", nil, nil, `c.yaml:1: there is no setting "zebra"`},
		{"flag only", "config: x\n", nil, nil, `c.yaml:1: there is no setting "config"`},
		{"client's", "admin-url: x\n", nil, nil, `c.yaml:1: there is no setting "admin-url"`},
		{"unknown variable", "", []string{"C100K_LISTN=:1"}, nil, `C100K_LISTN: there is no such setting; did you mean C100K_LISTEN?`},
		{"no value", "rate:\n", nil, nil, `c.yaml:1: rate: has no value`},
		{"list for one", "rate: [1, 2]\n", nil, nil, `c.yaml:1: rate: takes one value, not a list`},
		{"mapping", "rate: {a: b}\n", nil, nil, `c.yaml:1: rate: takes a plain value, not a mapping`},
		{"list in list", "origin: [[a]]\n", nil, nil, `c.yaml:1: origin: takes a plain value, not a list in a list`},
		{"null in list", "origin: [~]\n", nil, nil, `c.yaml:1: origin: has no value`},
		{"empty item", "origin: ['']\n", nil, nil, `c.yaml:1: origin: an item of the list is empty`},
		{"empty item of flag", "", nil, Flags{"origin": {"a,,b"}}, `--origin: an item of the list is empty`},
		{"anchor", "rate: &x 1\n", nil, nil, `not an anchor or an alias`},
		{"tag", "rate: !!str 1\n", nil, nil, `not a tag`},
		{"twice", "rate: 1\nrate: 2\n", nil, nil, `c.yaml:2: mapping key "rate" already defined`},
		{"no mapping", "- rate\n", nil, nil, `c.yaml:1: a configuration is a mapping`},
		{"two documents", "rate: 1\n---\nrate: 2\n", nil, nil, `c.yaml:3: a configuration is one YAML document`},
		{"syntax", "a: b: c\n", nil, nil, `c.yaml:1: mapping value is not allowed`},
		{"too long", strings.Repeat("#\n", 1<<19+1), nil, nil, `c.yaml: cannot be read: has 1048578 bytes; allowed are 1048576`},
		{"no file", "", nil, Flags{"config": {"no.yaml"}}, `no.yaml: cannot be read: file does not exist (named by --config)`},
		{"no file by variable", "", []string{"C100K_CONFIG=no.yaml"}, nil, `(named by C100K_CONFIG)`},
		{"network", "trusted-proxies: 10.1.0.0/8\n", nil, nil, `"10.1.0.0/8" has bits behind its prefix length: write 10.0.0.0/8`},
	}
	for _, test := range tests {
		_, err := load(t, test.yaml, test.env, test.flags)
		if err == nil {
			t.Errorf("%s: accepted", test.name)
			continue
		}
		first, _, _ := strings.Cut(err.Error(), "\n")
		if !strings.Contains(first, test.want) {
			t.Errorf("%s:\n got %s\nwant %s", test.name, first, test.want)
		}
		if onlyFlags := test.flags["config"] == nil && test.flags != nil; OnlyFlags(err) != onlyFlags && test.name != "no file" {
			t.Errorf("%s: OnlyFlags is %v", test.name, OnlyFlags(err))
		}
	}
}

func TestAllProblemsAtOnce(t *testing.T) {
	_, err := load(t, "raet: 1\nio: x\napi-key: secret-secret\n", []string{"C100K_DRAIN=x", "C100K_X=1"}, Flags{"loops": {"x"}})
	if got := len(Parts(err)); got != 5 {
		t.Errorf("%d problems, want 5: %v", got, err)
	}
	if OnlyFlags(err) {
		t.Error("OnlyFlags, with a bad file")
	}
	if !strings.Contains(err.Error(), ">  1 | raet: 1\n       ^") {
		t.Errorf("no caret: %v", err)
	}
	if strings.Contains(err.Error(), "secret-secret") {
		t.Errorf("tells the key: %v", err)
	}
}

// TestAllInTheOrderOfLines: what Load finds and what the node finds are one list, and nothing is
// said twice or because of something else in it.
func TestAllInTheOrderOfLines(t *testing.T) {
	for _, test := range []struct {
		name, file string
		environ    []string
		want       []string // beginnings
	}{
		{"loading and checking", "slow-consumer: never\nloops: 9999\nmax-mesage: 1\nrate-burst: 5\nping-interval: x\n", []string{"C100K_DRAIN=x"},
			[]string{"c.yaml:1: slow-consumer: ", "c.yaml:2: loops: ", "c.yaml:3: there is no setting", "c.yaml:4: rate-burst: ", "c.yaml:5: ping-interval: ", "C100K_DRAIN: "}},
		{"a check that misses what could not be loaded", "tls-cert: [a.crt]\ntls-kye: [a.key]\n", nil,
			[]string{"c.yaml:2: there is no setting \"tls-kye\"; did you mean tls-key?"}},
		{"a file that is no YAML", "loops: 9999\n- x\n", nil, []string{"c.yaml:2: "}},
		{"two checks that say the same", "loops: 9999\n", nil, []string{"c.yaml:1: loops: "}},
		{"nothing", "loops: 2\n", nil, nil},
	} {
		l, err := load(t, test.file, test.environ, nil)
		err = l.All(err, l.Options.Node.Validate, l.Options.Node.Validate)
		var got []error
		if err != nil {
			got = Parts(err)
		}
		bad := len(got) != len(test.want)
		for i := range min(len(got), len(test.want)) {
			bad = bad || !strings.HasPrefix(got[i].Error(), test.want[i])
		}
		if bad {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}

func TestKubernetesLinksAreNotOurs(t *testing.T) {
	_, err := load(t, "", []string{"C100K_SERVICE_HOST=10.0.0.1", "C100K_SERVICE_PORT_HTTP=80", "C100K_PORT=tcp://10.0.0.1:80",
		"C100K_PORT_8080_TCP=tcp://10.0.0.1:8080", "C100K_PORT_8080_TCP_ADDR=10.0.0.1", "C100K_EDGE_SERVICE_PORT=1", "C100KX=1"}, nil)
	if err != nil {
		t.Error(err)
	}
}

func TestExplain(t *testing.T) {
	loaded, err := load(t, "bus: redis://u:secret@x/y\n", []string{"C100K_LOOPS=999"}, Flags{"workers": {"99"}})
	if err != nil {
		t.Fatal(err)
	}
	got := loaded.Explain(loaded.Options.Node.Validate()).Error()
	for _, want := range []string{"--workers: 99 is refused; allowed are 1 to 64", "C100K_LOOPS: 999 is refused; allowed are 0 to 256", "c.yaml:1: bus: \"redis://u:xxxxx@x/y\" is refused; the database is not a number", ">  1 | bus: redis://xxxxx@x/y"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	two := fmt.Errorf("%w and %w", os.ErrExist, os.ErrClosed)
	if got := loaded.Explain(two); got.Error() != two.Error() || loaded.Explain(nil) != nil {
		t.Errorf("other errors must stay: %v", got)
	}
}

// A flag that needs another setting, which is not given, is a usage error.
func TestMissingCompanion(t *testing.T) {
	for _, test := range []struct {
		file  string
		flags Flags
		usage bool
	}{
		{"", Flags{"tls-cert": {"c"}}, true},
		{"tls-cert: [c]\n", nil, false},
		{"rate: 20/s\n", Flags{"tls-cert": {"c"}}, false}, // which of both needs the key is not known
	} {
		loaded, err := load(t, test.file, nil, test.flags)
		if err != nil {
			t.Fatal(err)
		}
		err = loaded.Explain(loaded.Options.Node.Validate())
		if err == nil || !strings.HasPrefix(err.Error(), "--tls-key: ") || OnlyFlags(err) != test.usage {
			t.Errorf("%q, %v: %v, OnlyFlags %v", test.file, test.flags, err, OnlyFlags(err))
		}
	}
}

// together are lines that mean nothing without others.
var together = map[string]string{
	"tls-cert": "tls-key: [k]", "tls-key": "tls-cert: [c]", "admin-tls-cert": "admin-tls-key: k", "admin-tls-key": "admin-tls-cert: c",
	"tls-client-ca": "dev: true\ndev-tls: true\ntls-client-auth: optional", "tls-ticket-keys": "dev: true\ndev-tls: true",
	"socketio-redis": "socketio-adapter: redis", "advertise": "bus: nats://h:1",
	"bus-creds": "bus: nats://h:1", "cluster": "cluster-secret-file: f", "cluster-peer": "cluster: a:1\ncluster-secret-file: f",
	"cluster-secret-file": "cluster: a:1", "http-redirect": "dev: true\ndev-tls: true", "acme": "acme-storage: d", "acme-storage": "acme: [a.example]",
	"acme-email": "acme: [a.example]\nacme-storage: d", "acme-directory": "acme: [a.example]\nacme-storage: d",
}

// Each line of the file that WriteFile writes is accepted when its # is taken off, with those that
// belong to it, and those without an example are the default.
func TestInitFileIsAConfiguration(t *testing.T) {
	text := bytes.Buffer{}
	if err := WriteFile(&text); err != nil {
		t.Fatal(err)
	}
	if _, err := load(t, text.String(), nil, nil); err != nil {
		t.Errorf("as written: %v", err)
	}
	rows := 0
	for line := range strings.Lines(text.String()) {
		if !strings.HasPrefix(line, "#") || strings.HasPrefix(line, "# ") || len(line) < 3 {
			continue
		}
		rows++
		name, _, _ := strings.Cut(line[1:], ":")
		loaded, err := load(t, line[1:]+together[name], nil, nil)
		if err == nil {
			err = loaded.Options.Node.Validate()
		}
		if err != nil {
			t.Errorf("%s: %v", line, err)
		}
	}
	if rows < 29 {
		t.Errorf("only %d settings", rows)
	}
}

// emptyLists makes lists without items nil: they are as good as none.
func emptyLists(c reflect.Value) {
	for i := range c.NumField() {
		if f := c.Field(i); f.Kind() == reflect.Slice && f.CanSet() && f.Len() == 0 {
			f.SetZero()
		}
	}
}

// What WriteEffective writes is a configuration with the same effect.
func TestEffectiveIsAConfiguration(t *testing.T) {
	loaded, err := load(t, "rate: 20/s\norigin: ['*', https://a]\napi-key: s3cret-s3cret\n", []string{"C100K_DEV=1"}, Flags{"compress": {"on"}})
	if err != nil {
		t.Fatal(err)
	}
	text := bytes.Buffer{}
	if err := loaded.WriteEffective(&text); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"# c.yaml:1\n", "# environment C100K_DEV\n", "# flag --compress\n", "listen: \"127.0.0.1:8080\"", "# api-key is set", "rate-burst: 20 "} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("no %q in\n%s", want, &text)
		}
	}
	if strings.Contains(text.String(), "s3cret") {
		t.Error("tells the key")
	}
	again, err := load(t, text.String(), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := loaded.Options.Node.WithDefaults()
	want.APIKey = ""
	got := again.Options.Node.WithDefaults()
	for _, c := range []*server.Config{&got, &want} {
		emptyLists(reflect.ValueOf(c).Elem())
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
}
