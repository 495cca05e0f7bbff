package main

// scenario.go: what is done to each server, and which figures come of it.

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// size holds the numbers of a scenario that --quick makes smaller.
type size struct {
	fanConns, echoConns, idleConns, warmConns int
	rate, fanRate                             int           // a second
	seconds, warm, quiet                      time.Duration // measured, before it, and of silence for the idle figures
}

var fullSize = size{fanConns: 10_000, echoConns: 1_000, idleConns: 15_000, warmConns: 200, rate: 5_000, fanRate: 10,
	seconds: 3 * time.Second, warm: time.Second, quiet: 10 * time.Second}

// quickSize shows that everything works; its figures mean nothing.
var quickSize = size{fanConns: 100, echoConns: 100, idleConns: 150, warmConns: 20, rate: 500, fanRate: 10,
	seconds: 300 * time.Millisecond, warm: 100 * time.Millisecond, quiet: 300 * time.Millisecond}

// sample is what one run of a scenario on one server gave.
type sample struct {
	Figures map[string]float64
	Clients []*clientResult
}

// figure is a row of the table.
type figure struct {
	key, title string
	decimals   int
	ratios     bool // rows that divide it by the floors follow
	goals      []goal
}

type scenario struct {
	name    string
	repsMax int  // 0: as many as asked for; long scenarios whose figures hardly vary take fewer
	admin   bool // ours opens its admin port
	figures []figure
	run     func(b *bench, s *server) (*sample, error)
}

func seconds(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', -1, 64) }

// load runs the client in a mode for the measured time.
func (b *bench) load(s *server, mode string, args ...string) (*clientResult, error) {
	all := []string{"--mode", mode, "--seconds", seconds(b.size.seconds), "--warm", seconds(b.size.warm)}
	return b.client.run(s, append(all, args...)...)
}

// perOp makes a scenario's run of one client run whose only figure is server CPU an operation.
func perOp(mode string, args func(b *bench) []string) func(*bench, *server) (*sample, error) {
	return func(b *bench, s *server) (*sample, error) {
		r, err := b.load(s, mode, args(b)...)
		if err != nil {
			return nil, err
		}
		return &sample{map[string]float64{"us": r.ServerUsPerOp}, []*clientResult{r}}, nil
	}
}

func scenarios(sz size) []scenario {
	fan := func(extra ...string) func(*bench) []string {
		return func(b *bench) []string {
			return append([]string{"--path", b.fanPath, "--conns", strconv.Itoa(b.size.fanConns)}, extra...)
		}
	}
	echo := func(extra ...string) func(*bench) []string {
		return func(b *bench) []string {
			return append([]string{"--path", "/echo", "--conns", strconv.Itoa(b.size.echoConns)}, extra...)
		}
	}
	us := func(title string, goals ...goal) []figure {
		return []figure{{key: "us", title: title, decimals: 2, ratios: true, goals: goals}}
	}
	return []scenario{
		{name: "memory", repsMax: 2, admin: true, run: runMemory, figures: []figure{
			{key: "bytes", title: fmt.Sprintf("idle memory, %d subscribed connections: private bytes each", sz.idleConns), goals: []goal{atMost(256)}},
			{key: "goroutines", title: fmt.Sprintf("goroutines with %d connections", sz.idleConns), goals: []goal{atMost(100)}},
			{key: "cpu", title: fmt.Sprintf("CPU in ten quiet seconds with %d connections, before their first heartbeat, %%", sz.idleConns), decimals: 2},
		}},
		{name: "idle", repsMax: 2, run: runIdle, figures: []figure{
			{key: "cpu", title: "CPU when nothing happens, %", decimals: 3, goals: []goal{atMost(0.05)}},
		}},
		{name: "fanout", run: perOp("fan", fan()),
			figures: us(fmt.Sprintf("fan-out 64 B to %d: CPU µs a delivery", sz.fanConns), atMost(4.5).needsUring(), timesPlain(4.5/6).needsUring())},
		{name: "burst", run: perOp("fan", fan("--burst", "8")),
			figures: us(fmt.Sprintf("bursts of eight to %d: CPU µs a delivery", sz.fanConns), atMost(0.7))},
		{name: "echo", run: perOp("echo", echo("--inflight", "1")),
			figures: us(fmt.Sprintf("echo 64 B, %d connections, one in flight: CPU µs an echo", sz.echoConns), timesPlain(1))},
		{name: "echo16", run: perOp("echo", echo("--inflight", "16")),
			figures: us(fmt.Sprintf("echo 64 B, %d connections, sixteen in flight: CPU µs an echo", sz.echoConns))},
		{name: "light", run: perOp("echo", echo("--rate", strconv.Itoa(sz.rate))),
			figures: us(fmt.Sprintf("light load, %d echoes/s over %d connections: CPU µs an echo", sz.rate, sz.echoConns), timesPlain(1.2))},
		{name: "p99", run: runP99, figures: []figure{
			{key: "alone", title: fmt.Sprintf("echo p99 at %d/s over %d connections, µs", sz.rate, sz.echoConns)},
			{key: "fan", title: fmt.Sprintf("echo p99 with %d fan-outs/s to %d beside it, µs", sz.fanRate, sz.fanConns)},
			{key: "factor", title: "… times the first", decimals: 2, goals: []goal{atMost(3)}},
		}},
		{name: "p99busy", run: runP99Busy, figures: []figure{
			{key: "alone", title: fmt.Sprintf("echo p99, %d connections in a closed loop, µs", sz.echoConns)},
			{key: "fan", title: fmt.Sprintf("echo p99 in a closed loop with %d fan-outs/s to %d beside it, µs", sz.fanRate, sz.fanConns)},
			{key: "factor", title: "… times the first", decimals: 2},
		}},
		{name: "handshake", run: perOp("handshakes", func(*bench) []string { return []string{"--path", "/echo", "--concurrency", "64"} }),
			figures: us("connect, handshake, close: CPU µs", atMost(30))},
	}
}

// runMemory compares the process with its connections to the same process without. Before the first reading a few connections came and went: code
// pages and buffers that are needed once are not the price of a connection.
func runMemory(b *bench, s *server) (*sample, error) {
	warm, err := b.client.hold(s, b.topicPath, b.size.warmConns)
	if err != nil {
		return nil, err
	}
	if _, err := warm.release(); err != nil {
		return nil, err
	}
	time.Sleep(b.size.warm) // let the server see them go
	without, err := privateBytes(s.pid())
	if err != nil {
		return nil, err
	}
	h, err := b.client.hold(s, b.topicPath, b.size.idleConns)
	if err != nil {
		return nil, err
	}
	time.Sleep(b.size.warm)
	cpu, err := quietCPU(b, s)
	if err != nil {
		return nil, err
	}
	with, err := privateBytes(s.pid())
	if err != nil {
		return nil, err
	}
	f := map[string]float64{
		"bytes":         float64(with-without) / float64(b.size.idleConns),
		"bytes_with":    float64(with),
		"bytes_without": float64(without),
		"cpu":           cpu,
	}
	if s.admin != 0 {
		n, err := goroutines(s.admin)
		if err != nil {
			return nil, err
		}
		f["goroutines"] = float64(n)
	}
	r, err := h.release()
	if err != nil {
		return nil, err
	}
	return &sample{f, []*clientResult{r}}, nil
}

func runIdle(b *bench, s *server) (*sample, error) {
	time.Sleep(b.size.warm)
	cpu, err := quietCPU(b, s)
	if err != nil {
		return nil, err
	}
	return &sample{Figures: map[string]float64{"cpu": cpu}}, nil
}

// quietCPU is the share of one core, in percent, that the server uses over a quiet while.
func quietCPU(b *bench, s *server) (float64, error) {
	before, err := cpuTime(s.pid())
	if err != nil {
		return 0, err
	}
	begin := time.Now()
	time.Sleep(b.size.quiet)
	after, err := cpuTime(s.pid())
	if err != nil {
		return 0, err
	}
	return 100 * float64(after-before) / float64(time.Since(begin)), nil
}

func runP99(b *bench, s *server) (*sample, error) {
	return p99(b, s, "--rate", strconv.Itoa(b.size.rate))
}

func runP99Busy(b *bench, s *server) (*sample, error) { return p99(b, s, "--inflight", "1") }

// p99 measures echoes without and with a fan-out beside them, one right after the other on the same server.
func p99(b *bench, s *server, schedule ...string) (*sample, error) {
	args := append([]string{"--path", "/echo", "--conns", strconv.Itoa(b.size.echoConns)}, schedule...)
	alone, err := b.load(s, "echo", args...)
	if err != nil {
		return nil, err
	}
	args = append(args, "--fan-path", b.fanPath, "--fan-conns", strconv.Itoa(b.size.fanConns), "--fan-rate", strconv.Itoa(b.size.fanRate))
	fan, err := b.load(s, "echo+fan", args...)
	if err != nil {
		return nil, err
	}
	if alone.Echo == nil || fan.Echo == nil || alone.Echo.P99 == 0 {
		return nil, fmt.Errorf("%s: no echo was measured", s.Name)
	}
	return &sample{map[string]float64{"alone": alone.Echo.P99, "fan": fan.Echo.P99, "factor": fan.Echo.P99 / alone.Echo.P99},
		[]*clientResult{alone, fan}}, nil
}

// goroutines asks the admin port: /v1/stats if it says, the profile otherwise.
func goroutines(admin int) (int, error) {
	text, err := get(fmt.Sprintf("http://127.0.0.1:%d/v1/stats", admin))
	if err != nil {
		return 0, err
	}
	var stats any
	if err := json.Unmarshal([]byte(text), &stats); err != nil {
		return 0, fmt.Errorf("/v1/stats: %w", err)
	}
	if n, ok := findNumber(stats, "goroutines"); ok {
		return int(n), nil
	}
	text, err = get(fmt.Sprintf("http://127.0.0.1:%d/debug/pprof/goroutine?debug=1", admin))
	if err != nil {
		return 0, err
	}
	return parseGoroutines(text)
}

func parseGoroutines(profile string) (int, error) {
	line, _, _ := strings.Cut(profile, "\n")
	_, total, ok := strings.Cut(line, "goroutine profile: total ")
	if !ok {
		return 0, fmt.Errorf("goroutine profile begins with %q", line)
	}
	return strconv.Atoi(strings.TrimSpace(total))
}

func get(url string) (string, error) {
	client := http.Client{Timeout: 10 * time.Second}
	r, err := client.Get(url)
	if err != nil {
		return "", err
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err == nil && r.StatusCode != http.StatusOK {
		err = fmt.Errorf("GET %s: %s", url, r.Status)
	}
	return string(text), err
}

// findNumber looks for a member of this name anywhere in a JSON document.
func findNumber(v any, name string) (float64, bool) {
	switch v := v.(type) {
	case map[string]any:
		if n, ok := v[name].(float64); ok {
			return n, true
		}
		for _, child := range v {
			if n, ok := findNumber(child, name); ok {
				return n, true
			}
		}
	case []any:
		for _, child := range v {
			if n, ok := findNumber(child, name); ok {
				return n, true
			}
		}
	}
	return 0, false
}
