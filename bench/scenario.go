package main

// scenario.go: what is done to each server, and which figures come of it.

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"c100k/bench/rig"
	"c100k/loadgen"
)

// size holds the numbers that a smoke test makes smaller.
type size struct {
	fan, fanSmall, echo, idle, storm int           // connections
	rate, fanRate                    int           // a second
	seconds, warm, quiet             time.Duration // measured, before it, and of silence for memory
	shakes                           int           // TLS handshakes of a window
	smoke                            bool
}

// at is how long a window is: that of a smoke test is shorter.
func (sz size) at(p pace) pace {
	if sz.smoke {
		return smokePace
	}
	return p
}

var fullSize = size{fan: 10_000, fanSmall: 1_000, echo: 1_000, idle: 15_000, storm: 5_000, rate: 5_000, fanRate: 10, seconds: 2 * time.Second, warm: 700 * time.Millisecond, quiet: 5 * time.Second, shakes: 800}

// smokeSize shows that everything works; its figures mean nothing.
var smokeSize = size{fan: 60, fanSmall: 20, echo: 10, idle: 50, storm: 20, rate: 500, fanRate: 20, seconds: 200 * time.Millisecond, warm: 50 * time.Millisecond, quiet: 200 * time.Millisecond, shakes: 40, smoke: true}

// sample is what one run of a scenario on one server gave.
type sample struct {
	figures map[string]float64
	loads   []*load
}

// figure is a column of the table.
type figure struct {
	key      string
	title    string // with its unit
	decimals int
}

type scenario struct {
	name    string
	what    string // what is done, in one sentence
	figures []figure
	cores   int  // that the server may use; with two, the load has the same two
	rivals  bool // it is measured on rivals, too
	deflate bool // the server is told to compress
	suits   func(target) bool
	run     func(ctx context.Context, b *bench, s *server) (*sample, error)
	turns   *turning // nil: it cannot be measured by turns
}

func anyTarget(target) bool { return true }

// usKey is the figure that most scenarios are about: server CPU an operation, in microseconds.
const usKey = "us"

func us(title string) []figure {
	return []figure{{key: usKey, title: title + ", µs", decimals: 2}}
}

func scenarios(sz size) []scenario {
	echoes := func(bytes, inFlight int) *turning {
		return &turning{pace: sz.at(echoPace), frames: []float64{frameBytes(bytes, true), frameBytes(bytes, false)}, args: func(b *bench, s *server) []string {
			return b.echo(s, "--size", strconv.Itoa(bytes), "--in-flight", strconv.Itoa(inFlight))
		}}
	}
	fans := func(bytes, conns int, more ...string) *turning { return fanOut(sz, bytes, conns, more...) }
	messages := func(t *turning) func(context.Context, *bench, *server) (*sample, error) {
		return func(ctx context.Context, b *bench, s *server) (*sample, error) {
			return b.perMessage(ctx, s, t.args(b, s)...)
		}
	}
	echo := func(bytes, inFlight int) func(context.Context, *bench, *server) (*sample, error) {
		return messages(echoes(bytes, inFlight))
	}
	fan := func(bytes, conns int, more ...string) func(context.Context, *bench, *server) (*sample, error) {
		return messages(fans(bytes, conns, more...))
	}
	light := &turning{pace: sz.at(lightPace), frames: []float64{frameBytes(64, true), frameBytes(64, false)}, args: (*bench).light}
	frames := func(t target) bool { return t.echoes() }
	notFloor := func(t target) bool { return t.Kind != floor }
	loops := func(t target) bool { return t.echoes() && !t.oneLoop }
	return []scenario{
		{name: "memory", rivals: true, suits: anyTarget, run: runMemory,
			what:    fmt.Sprintf("%d connections to the room are open and quiet: what private memory each adds to a process that holds few; and CPU meanwhile", sz.idle),
			figures: []figure{{"bytes", fmt.Sprintf("idle memory at %s, bytes", thousands(sz.idle)), 0}, {"cpu", "CPU while quiet, % of a core", 2}}},
		{name: "handshake", rivals: true, suits: anyTarget, run: runHandshake, figures: us("handshake"),
			what: fmt.Sprintf("%d connections are reset at once and open again, twice: CPU for each of accept, upgrade and close", sz.storm)},
		{name: "echo", rivals: true, suits: frames, run: echo(64, 1), turns: echoes(64, 1), figures: us("echo 64 B"),
			what: fmt.Sprintf("%d connections, one message in flight on each", sz.echo)},
		{name: "echo16", rivals: true, suits: frames, run: echo(64, 16), turns: echoes(64, 16), figures: us("echo 64 B, 16 in flight"),
			what: fmt.Sprintf("%d connections, sixteen in flight on each", sz.echo)},
		{name: "echo1k", rivals: true, suits: frames, run: echo(1<<10, 1), turns: echoes(1<<10, 1), figures: us("echo 1 KiB"),
			what: fmt.Sprintf("%d connections, one in flight", sz.echo)},
		{name: "echo16k", rivals: true, suits: frames, run: echo(16<<10, 1), turns: echoes(16<<10, 1), figures: us("echo 16 KiB"),
			what: fmt.Sprintf("%d connections, one in flight", sz.echo)},
		{name: "ack", rivals: true, suits: func(t target) bool { return t.protocol == "socketio" }, figures: us("Socket.IO event with acknowledgement"), run: runAck,
			what: fmt.Sprintf("%d clients of Socket.IO, one event of 64 bytes under way on each, which is acknowledged with its argument", sz.echo)},
		{name: "light", rivals: true, suits: frames, figures: us("light load"), run: messages(light), turns: light,
			what: fmt.Sprintf("%d echoes a second over %d connections: the server sleeps and wakes for almost each", sz.rate, sz.echo)},
		{name: "fan1k", rivals: true, suits: anyTarget, run: fan(64, sz.fanSmall), turns: fans(64, sz.fanSmall), figures: us("fan-out 64 B to " + thousands(sz.fanSmall)),
			what: "one message to all, and the next when the last has it"},
		{name: "fan", rivals: true, suits: anyTarget, run: fan(64, sz.fan), turns: fans(64, sz.fan), figures: us("fan-out 64 B to " + thousands(sz.fan)),
			what: "one message to all, and the next when the last has it"},
		{name: "fan1k-1KiB", suits: frames, run: fan(1<<10, sz.fanSmall), turns: fans(1<<10, sz.fanSmall), figures: us("fan-out 1 KiB to " + thousands(sz.fanSmall)),
			what: "the same with 1 KiB"},
		{name: "fan-1KiB", rivals: true, suits: frames, run: fan(1<<10, sz.fan), turns: fans(1<<10, sz.fan), figures: us("fan-out 1 KiB to " + thousands(sz.fan)),
			what: "the same with 1 KiB"},
		{name: "burst", rivals: true, suits: frames, run: fan(64, sz.fan, "--publish-burst", "8"), turns: fans(64, sz.fan, "--publish-burst", "8"), figures: us("bursts of 8 to " + thousands(sz.fan)),
			what: "eight messages of 64 bytes in one write to the server, for all"},
		{name: "stalled", suits: notFloor, run: runStalled,
			what:    fmt.Sprintf("fan-outs of 1 KiB to %d, without and with 1 %% of them that never read: CPU a delivery, and p99 of the others, as multiples", sz.fanSmall),
			figures: []figure{{"cost", "1 % stalled: CPU ×", 2}, {"p99", "1 % stalled: p99 ×", 2}}},
		{name: "p99", rivals: true, suits: frames, run: runBeside,
			what:    fmt.Sprintf("%d echoes a second over %d connections: p99 alone, and with %d fan-outs a second to %d beside it", sz.rate, sz.echo, sz.fanRate, sz.fan),
			figures: []figure{{"alone", "echo p99 alone, ms", 2}, {"beside", "beside fan-outs, ms", 2}, {"times", "beside, × alone", 1}}},
		{name: "deflate", rivals: true, suits: func(t target) bool { return t.compress != nil }, deflate: true, run: fan(1<<10, sz.fanSmall, "--compress"),
			what:    "fan-outs of 1 KiB with permessage-deflate, without context takeover",
			figures: us("fan-out 1 KiB, compressed, to " + thousands(sz.fanSmall))},
		{name: "echo-2cores", cores: 2, rivals: true, suits: loops, run: echo(64, 1), what: "echo with two loops, server and load on the same two cores",
			figures: []figure{{usKey, "two cores: echo 64 B, µs", 2}, {"rate", "two cores: echoes/s", 0}}},
		{name: "fan-2cores", cores: 2, rivals: true, suits: loops, run: fan(64, sz.fan), what: "fan-out with two loops, server and load on the same two cores",
			figures: []figure{{usKey, "two cores: fan-out 64 B, µs", 2}, {"rate", "two cores: deliveries/s", 0}}},
	}
}

// fanOut is a fan-out whose next message goes out when the last receiver has the one before.
func fanOut(sz size, bytes, conns int, more ...string) *turning {
	return &turning{pace: sz.at(fanPace), frames: []float64{frameBytes(bytes, false)}, args: func(b *bench, s *server) []string {
		return b.fan(s, conns, append([]string{"--size", strconv.Itoa(bytes), "--in-flight", "1"}, more...)...)
	}}
}

// thousands writes a number of connections.
func thousands(n int) string {
	if n < 1000 {
		return strconv.Itoa(n)
	}
	return fmt.Sprintf("%d,%03d", n/1000, n%1000)
}

// echo is the command line of an echo run.
func (b *bench) echo(s *server, more ...string) []string {
	return append([]string{s.url("ws", "/echo"), "--conns", strconv.Itoa(b.size.echo), "--for", b.size.seconds.String(), "--warm", b.size.warm.String()}, more...)
}

// fan is the command line of a run that listens to a publisher.
func (b *bench) fan(s *server, conns int, more ...string) []string {
	listen := s.listensAt()
	publish := listen
	if s.publish != "" {
		publish = s.url("http", s.publish)
	}
	return append([]string{listen, "--conns", strconv.Itoa(conns), "--for", b.size.seconds.String(), "--warm", b.size.warm.String(), "--publish", publish}, more...)
}

// url is one of a scheme, or of its encrypted form.
func (s *server) url(scheme, path string) string {
	if s.secure {
		scheme += "s"
	}
	return scheme + "://" + s.addr + path
}

// listensAt is the URL of the room.
func (s *server) listensAt() string {
	if s.listen != "" {
		return s.url("ws", s.listen)
	}
	return s.url("ws", "/broadcast")
}

// quietAt is the URL of who is quiet.
func (s *server) quietAt() string {
	if s.quiet != "" {
		return s.url("ws", s.quiet)
	}
	return s.listensAt()
}

// perMessage is a run whose figure is server CPU a message.
func (b *bench) perMessage(ctx context.Context, s *server, args ...string) (*sample, error) {
	l, err := b.generator.run(ctx, s, manner{}, args...)
	if err != nil {
		return nil, err
	}
	f, err := costOf(l)
	if err != nil {
		return nil, err
	}
	return &sample{map[string]float64{usKey: f, "rate": l.Rate.Received, "generator_us": microseconds(l.Generator.PerMessage)}, []*load{l}}, nil
}

// costOf is server CPU a message in microseconds.
func costOf(l *load) (float64, error) {
	if l.Server == nil || l.Server.Trouble != "" || l.Messages.Received == 0 {
		return 0, fmt.Errorf("the cost of the server is not known: %+v, %d messages received", l.Server, l.Messages.Received)
	}
	return microseconds(l.Server.CPU) / float64(l.Messages.Received), nil
}

func microseconds(m loadgen.Millis) float64 { return float64(m) / float64(time.Microsecond) }

// light is the command line of echoes on a schedule.
func (b *bench) light(s *server) []string { return b.echo(s, "--rate", strconv.Itoa(b.size.rate)) }

// runAck has its own URL: the clients that are acknowledged are those that listen.
func runAck(ctx context.Context, b *bench, s *server) (*sample, error) {
	return b.perMessage(ctx, s, s.listensAt(), "--mode", "echo", "--event", "echo", "--conns", strconv.Itoa(b.size.echo), "--size", "64", "--in-flight", "1",
		"--for", b.size.seconds.String(), "--warm", b.size.warm.String())
}

// runMemory compares the process with its connections, when they have been quiet for a while, to
// another fresh one that holds few of them: what is needed once, or for a crowd that comes in and
// is given back, is not the price of a connection that stays. Both processes are there at both
// readings: the pages of a program that runs once are private, megabytes of them, and of one that
// runs twice they are shared.
func runMemory(ctx context.Context, b *bench, s *server) (*sample, error) {
	few, err := s.target.start(b.serverCore, 1)
	if err != nil {
		return nil, err
	}
	defer few.stop()
	little, err := b.idle(ctx, few, max(1, b.size.idle/75))
	if err != nil {
		return nil, err
	}
	l, err := b.idle(ctx, s, b.size.idle)
	if err != nil {
		return nil, err
	}
	bytes := float64(l.Server.MemoryEnd-little.Server.MemoryEnd) / float64(l.Connections.Open-little.Connections.Open)
	return &sample{map[string]float64{"bytes": bytes, "cpu": 100 * l.Server.Cores}, []*load{little, l}}, nil
}

// idle is a run of quiet connections.
func (b *bench) idle(ctx context.Context, s *server, conns int) (*load, error) {
	l, err := b.generator.run(ctx, s, manner{}, s.quietAt(), "--mode", "idle", "--conns", strconv.Itoa(conns), "--for", b.size.quiet.String())
	if err == nil && (l.Server == nil || l.Server.Trouble != "") {
		return nil, fmt.Errorf("the cost of the server is not known: %+v", l.Server)
	}
	return l, err
}

// runHandshake drops all connections by resets, so that nothing of closing is the client's, and
// counts how many came back.
func runHandshake(ctx context.Context, b *bench, s *server) (*sample, error) {
	l, err := b.generator.run(ctx, s, manner{}, s.quietAt(), "--mode", "storm", "--conns", strconv.Itoa(b.size.storm), "--storms", "2",
		"--storm-every", (b.size.seconds / 3).String(), "--for", b.size.seconds.String())
	if err != nil {
		return nil, err
	}
	back := l.Connections.Reconnected
	if l.Server == nil || back < 2*uint64(b.size.storm) {
		return nil, fmt.Errorf("%d of %d came back", back, 2*b.size.storm)
	}
	return &sample{map[string]float64{usKey: microseconds(l.Server.CPU) / float64(back)}, []*load{l}}, nil
}

// runStalled measures the same fan-out without and with readers that stand still, one right after
// the other on the same server.
func runStalled(ctx context.Context, b *bench, s *server) (*sample, error) {
	args := b.fan(s, b.size.fanSmall, "--size", "1024", "--in-flight", "1")
	without, err := b.generator.run(ctx, s, manner{}, args...)
	if err != nil {
		return nil, err
	}
	stalled := max(1, b.size.fanSmall/100)
	with, err := b.generator.run(ctx, s, manner{spared: stalled}, append(args, "--mode", "slow-reader", "--slow-share",
		strconv.FormatFloat(float64(stalled)/float64(b.size.fanSmall), 'g', -1, 64), "--no-reconnect")...)
	if err != nil {
		return nil, err
	}
	before, err := costOf(without)
	if err != nil {
		return nil, err
	}
	after, err := costOf(with)
	if err != nil {
		return nil, err
	}
	return &sample{map[string]float64{"without_us": before, "with_us": after, "cost": after / before,
		"p99": float64(with.Deliver.P99) / float64(without.Deliver.P99)}, []*load{without, with}}, nil
}

// besideSlack is how much longer than the echoes the fan-outs beside them go on: the echoes'
// connections have to open meanwhile.
const besideSlack = 4 * time.Second

// runBeside measures echoes without and with a fan-out beside them. The load of the fan-outs gives
// way to that of the echoes on their core, so that its own work is not measured as latency. It
// takes plain system calls for that, since most kernels let nobody in before a call has ended, and
// one of io_uring is hundreds of receives long.
func runBeside(ctx context.Context, b *bench, s *server) (*sample, error) {
	args := b.echo(s, "--rate", strconv.Itoa(b.size.rate))
	alone, err := b.generator.run(ctx, s, manner{policy: probe, unwatched: true}, args...)
	if err != nil {
		return nil, err
	}
	type outcome struct {
		l   *load
		err error
	}
	crowd, ended := manner{policy: givesWay, unwatched: true, progress: rig.NewProgress()}, make(chan outcome, 1)
	go func() {
		l, err := b.generator.run(ctx, s, crowd, b.fan(s, b.size.fan, "--publish-rate", strconv.Itoa(b.size.fanRate), "--io", "syscall", "--for", (b.size.seconds+besideSlack).String())...)
		ended <- outcome{l, err}
	}()
	select {
	case <-crowd.progress.Measures:
	case early := <-ended:
		return nil, fmt.Errorf("the fan-outs ended before they began: %w", early.err)
	}
	beside, err := b.generator.run(ctx, s, manner{policy: probe, unwatched: true}, args...)
	fans := <-ended
	if err == nil {
		err = fans.err
	}
	if err != nil {
		return nil, err
	}
	milliseconds := func(l *load) float64 { return float64(l.Echo.P99) / float64(time.Millisecond) }
	// The crowd's own latencies are those of a load that gives way; only what it counted counts.
	return &sample{map[string]float64{"alone": milliseconds(alone), "beside": milliseconds(beside), "times": milliseconds(beside) / milliseconds(alone)}, []*load{alone, beside}}, nil
}
