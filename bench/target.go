package main

// target.go: what is measured: the node, the floors, the rivals, and how each is started and spoken
// to.

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// kind is what a target is to the table.
type kind string

const (
	ours  kind = "ours"
	floor kind = "floor"
	rival kind = "rival"
)

// The names that goals speak of.
const (
	nodeAuto    = "c100k"
	nodeSyscall = "c100k syscall"
	nodeSIO     = "c100k Socket.IO"
	wsAlone     = "c100k-ws"
	wsMounted   = "c100k-ws-mounted"
	wsGo        = "c100k-ws-go"
	rivalSIO    = "socket.io"
	plainFloor  = "floor-send"
	uringFloor  = "floor-uring"
)

// target is a kind of server: a row of the table.
type target struct {
	Name    string `json:"name"`
	Kind    kind   `json:"kind"`
	Version string `json:"version,omitempty"`
	// argv is the command; env stands above the environment of the bench.
	argv func(addr string, loops int) []string
	env  []string

	secure   bool     // speaks TLS
	several  bool     // is several processes
	oneLoop  bool     // has one thread whatever it is told
	events   bool     // an event loop: no goroutine for a connection
	compress []string // arguments that turn permessage-deflate on; nil: it has none
	protocol string   // --protocol of the load; empty: raw frames, and then it has /echo and /broadcast
	hello    string   // --hello
	listen   string   // path of who listens; empty: /broadcast
	quiet    string   // path of who is quiet; empty: that of who listens
	publish  string   // URL path of a POST that publishes; empty: a frame on listen
}

// echoes tells whether the target speaks as the echo scenarios want it.
func (t target) echoes() bool { return t.publish == "" }

// loadArgs are the arguments of a load against the target: it takes any certificate.
func (t target) loadArgs(args []string) []string {
	if t.secure {
		return append(args, "--insecure")
	}
	return args
}

// compressed is the target with permessage-deflate.
func (t target) compressed() target {
	plain, more := t.argv, t.compress
	t.argv = func(addr string, loops int) []string { return append(plain(addr, loops), more...) }
	return t
}

// node is c100k as a laptop would start it: --dev opens /echo and /broadcast.
func node(name, binary, io string, more ...string) target {
	return target{Name: name, Kind: ours, compress: []string{"--compress", "on"}, argv: func(addr string, loops int) []string {
		argv := []string{binary, "serve", "--dev", "--listen", addr, "--admin", "", "--loops", strconv.Itoa(loops), "--io", io, "--drain", "1s", "--log-level", "warn"}
		return append(argv, more...)
	}}
}

// socketIONode is c100k with the handlers of the rival on Socket.IO: a program of bench/sio.
func socketIONode(binary string) target {
	return target{Name: nodeSIO, Kind: ours, protocol: "socketio", listen: "/socket.io/", publish: "/publish", argv: func(addr string, loops int) []string {
		return []string{binary, "--listen", addr, "--loops", strconv.Itoa(loops)}
	}}
}

// webSocketServer is a program with handlers of package websocket: that of bench/ws.
func webSocketServer(name, binary string, more ...string) target {
	return target{Name: name, Kind: ours, compress: []string{"--compress"}, quiet: "/quiet", argv: func(addr string, loops int) []string {
		return append([]string{binary, "--listen", addr, "--loops", strconv.Itoa(loops)}, more...)
	}}
}

// webSocketServers are the ways to run that program, in the order of the table.
func webSocketServers(binary string) []target {
	return []target{webSocketServer(wsAlone, binary), webSocketServer(wsMounted, binary, "--mounted"), webSocketServer(wsGo, binary, "--go")}
}

func floorAt(dir, name string) target {
	return target{Name: name, Kind: floor, events: true, oneLoop: true, argv: func(addr string, _ int) []string {
		_, port, _ := strings.Cut(addr, ":")
		return []string{filepath.Join(dir, name), "-p", port}
	}}
}

// rivalsOf are the programs of bench/peers, in the order of the table. dir is that directory.
func rivalsOf(dir string, versions map[string]string) []target {
	program := func(name, module string, change func(*target)) target {
		t := target{Name: name, Kind: rival, Version: strings.TrimSpace(module + " " + versions[module]), argv: rivalArgv(dir, name)}
		if change != nil {
			change(&t)
		}
		return t
	}
	script := func(name, file string, change func(*target)) target {
		t := program(name, name, change)
		t.oneLoop = true
		t.argv = func(addr string, _ int) []string {
			return []string{"node", filepath.Join(dir, "node", file), "--listen", addr}
		}
		return t
	}
	event := func(t *target) { t.events = true }
	deflates := func(t *target) { t.compress = []string{"--compress"} }
	return []target{
		program("gnet", "github.com/panjf2000/gnet/v2", event),
		program("nbio", "github.com/lesismal/nbio", event),
		program("easygo", "github.com/mailru/easygo", event),
		program("gobwas", "github.com/gobwas/ws", nil),
		program("gws", "github.com/lxzan/gws", deflates),
		program("gorilla", "github.com/gorilla/websocket", deflates),
		program("coder", "github.com/coder/websocket", nil),
		program("melody", "github.com/olahol/melody", nil),
		program("centrifuge", "github.com/centrifugal/centrifuge", func(t *target) {
			t.hello, t.publish = `{"id":1,"connect":{}}`, "/publish"
		}),
		script("ws", "ws.mjs", deflates),
		script(rivalSIO, "socketio.mjs", func(t *target) {
			t.protocol, t.listen, t.publish = "socketio", "/socket.io/", "/publish"
		}),
	}
}

// rivalArgv is the command of a program of bench/peers.
func rivalArgv(dir, name string) func(addr string, loops int) []string {
	return func(addr string, loops int) []string {
		return []string{filepath.Join(dir, "bin", name), "--listen", addr, "--loops", strconv.Itoa(loops)}
	}
}

// rivalVersions reads what bench/peers is built from.
func rivalVersions(dir string) (map[string]string, error) {
	versions := make(map[string]string)
	module, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(module)) {
		if fields := strings.Fields(strings.TrimPrefix(strings.TrimSpace(line), "require ")); len(fields) >= 2 {
			versions[fields[0]] = fields[1]
		}
	}
	var packages struct{ Dependencies map[string]string }
	text, err := os.ReadFile(filepath.Join(dir, "node", "package.json"))
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(text, &packages); err != nil {
		return nil, fmt.Errorf("package.json of the rivals: %w", err)
	}
	for name, version := range packages.Dependencies {
		versions[name] = version
	}
	return versions, nil
}

// choose finds the targets that were asked for, in their own order. A name that is not there is an
// error; what cannot run here is left out, and skipped says why.
func choose(all []target, names []string) (chosen []target, skipped []string, err error) {
	for _, name := range names {
		if !slices.ContainsFunc(all, func(t target) bool { return t.Name == name }) {
			return nil, nil, fmt.Errorf("no server %q; there are %s", name, strings.Join(namesOf(all), ", "))
		}
	}
	for _, t := range all {
		if len(names) > 0 && !slices.Contains(names, t.Name) {
			continue
		}
		s, err := t.start(anywhere, 1)
		if err != nil { // io_uring is forbidden in many containers, and not everybody has Node
			skipped = append(skipped, t.Name+": "+err.Error())
			continue
		}
		s.stop()
		chosen = append(chosen, t)
	}
	if len(chosen) == 0 {
		return nil, skipped, errors.New("no server to measure: " + strings.Join(skipped, "; "))
	}
	return chosen, skipped, nil
}

func namesOf(all []target) (names []string) {
	for _, t := range all {
		names = append(names, t.Name)
	}
	return names
}

// buildFloors builds the C programs into dir/bin (or an absolute path) and returns where they are.
func buildFloors(dir, bin string) (string, error) {
	cc := compiler()
	for _, tool := range []string{cc, "make"} {
		if _, err := exec.LookPath(tool); err != nil {
			return "", fmt.Errorf("the floors are C programs: %w", err)
		}
	}
	text, err := exec.Command("make", "-C", dir, "CC="+cc, "BIN="+bin).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build the floors: %w\n%s", err, text)
	}
	if !filepath.IsAbs(bin) {
		bin = filepath.Join(dir, bin)
	}
	return bin, nil
}

func compiler() string { return cmp.Or(os.Getenv("CC"), "cc") }
