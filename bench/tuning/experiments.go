// The experiments, in the order of tuning.md.

package main

import (
	"time"

	"c100k/bench/rig"
	"c100k/loadgen"
)

// measured is how long the load of a run lasts, in the flag's form.
const measured = "8s"

func experiments() []experiment {
	return []experiment{
		{name: "files", title: "open files of the node's process; 2,000 ask for a connection",
			values:  []value{{label: "1128", files: 1128}, {label: "as it is"}},
			load:    idle("2000"),
			figures: []figure{{"connections", openConnections}}},

		{name: "accept-queue", title: "net.core.somaxconn; 8,000 come as fast as they can, are dropped, and come back",
			values: []value{
				{label: "128", kernel: []rig.Setting{{Path: "net.core.somaxconn", Value: "128"}}},
				{label: "4096", kernel: []rig.Setting{{Path: "net.core.somaxconn", Value: "4096"}}},
			},
			load: func(n *rig.Node) []string {
				return []string{topicURL(n), "--mode", "storm", "--conns", "8000", "--storms", "1", "--storm-every", "2s", "--for", "4s"}
			},
			figures: []figure{
				{"until all are there, s", ramp},
				{"until all are back, s", back},
				{"slowest connect, ms", latency(func(r *loadgen.Result) *loadgen.Latencies { return r.Connect }, longest)},
				{"did not fit", overflows},
			}},

		{name: "ports", title: "net.ipv4.ip_local_port_range; 18,000 connections from one address",
			values: []value{
				{label: "32768 to 60999", kernel: []rig.Setting{{Path: "net.ipv4.ip_local_port_range", Value: "32768 60999"}}},
				{label: "1024 to 65535", kernel: []rig.Setting{{Path: "net.ipv4.ip_local_port_range", Value: "1024 65535"}}},
			},
			host: "::1", // of 127.0.0.0/8 the generator takes several
			load: idle("18000"),
			figures: []figure{
				{"connections", openConnections},
				{"until all are there, s", ramp},
				{"slowest connect, ms", latency(func(r *loadgen.Result) *loadgen.Latencies { return r.Connect }, longest)},
			}},

		{name: "tcp-memory", title: "net.ipv4.tcp_mem; ten messages of 4 KiB a second to 2,000",
			values: []value{
				{label: "500 1000 2000", kernel: []rig.Setting{{Path: "net.ipv4.tcp_mem", Value: "500 1000 2000"}}},
				{label: "as it is"},
			},
			load: fanout("2000", "4096", "10/s"), figures: deliveries()},

		{name: "send-buffer", title: "the maximum of net.ipv4.tcp_wmem; half of 200 subscribers stop reading 1.3 MB/s",
			values: []value{
				{label: "256 KiB", kernel: []rig.Setting{{Path: "net.ipv4.tcp_wmem", Value: "4096 16384 262144"}}},
				{label: "4 MiB", kernel: []rig.Setting{{Path: "net.ipv4.tcp_wmem", Value: "4096 16384 4194304"}}},
			},
			load: func(n *rig.Node) []string {
				return append([]string{"--mode", "slow-reader", "--slow-share", "0.5"}, fanout("200", "65536", "20/s")(n)...)
			},
			figures: []figure{{"until the first is found, s", firstSlow}, {"TCP's memory at the most, MB", tcpPeak}}},

		{name: "receive-buffer", title: "net.ipv4.tcp_rmem; 1,000 echoes of 32 KiB a second",
			values: []value{
				{label: "16 KiB, at most 64 KiB", kernel: []rig.Setting{{Path: "net.ipv4.tcp_rmem", Value: "4096 16384 65536"}}},
				{label: "128 KiB, at most 6 MiB", kernel: []rig.Setting{{Path: "net.ipv4.tcp_rmem", Value: "4096 131072 6291456"}}},
			},
			load: echo("100", "32768", "1000/s"),
			figures: []figure{
				{"echo p50, ms", latency(func(r *loadgen.Result) *loadgen.Latencies { return r.Echo }, median)},
				{"p99, ms", latency(func(r *loadgen.Result) *loadgen.Latencies { return r.Echo }, p99)},
				{"CPU an echo, µs", perMessage},
			}},

		{name: "io", title: "--io; five messages of 128 bytes a second to 5,000",
			values: served("--io", "uring", "syscall"), load: fanout("5000", "128", "5/s"), figures: deliveries()},

		{name: "loops", title: "--loops; five messages of 128 bytes a second to 5,000",
			values: served("--loops", "1", "2", "4"), load: fanout("5000", "128", "5/s"), figures: deliveries()},

		{name: "workers", title: "--workers; five messages of 128 bytes a second to 5,000",
			values: served("--workers", "1", "2", "4"), load: fanout("5000", "128", "5/s"), figures: append(deliveries(), figure{"private memory, MB", memoryEnd})},

		{name: "gogc", title: "GOGC; five messages of 128 bytes a second to 5,000",
			values: []value{{label: "50", env: []string{"GOGC=50"}}, {label: "100", env: []string{"GOGC=100"}}, {label: "400", env: []string{"GOGC=400"}}},
			load:   fanout("5000", "128", "5/s"), figures: append(deliveries(), figure{"private memory, MB", memoryEnd})},

		{name: "huge-pages", title: "transparent huge pages; 10,000 idle connections",
			values: []value{
				{label: "madvise", kernel: []rig.Setting{{Path: hugePages, Value: "madvise"}}},
				{label: "always", kernel: []rig.Setting{{Path: hugePages, Value: "always"}}},
			},
			load:    idle("10000"),
			figures: []figure{{"private memory, MB", memoryEnd}, {"CPU a connection that opens, µs", perConnection}}},
	}
}

const hugePages = "/sys/kernel/mm/transparent_hugepage/enabled"

// served are the values of a flag of the node.
func served(flag string, words ...string) (values []value) {
	for _, word := range words {
		values = append(values, value{label: word, serve: []string{flag, word}})
	}
	return values
}

// The loads.

func topicURL(n *rig.Node) string { return "ws://" + n.Public + "/ws?topic=tuning" }

func idle(conns string) func(*rig.Node) []string {
	return func(n *rig.Node) []string {
		return []string{topicURL(n), "--mode", "idle", "--conns", conns, "--for", "4s"}
	}
}

func fanout(conns, size, rate string) func(*rig.Node) []string {
	return func(n *rig.Node) []string {
		return []string{"ws://" + n.Public + "/ws?topic={topic}", "--topic", "tuning", "--conns", conns, "--size", size, "--for", measured,
			"--publish", "http://" + n.Admin + "/v1/topics/tuning", "--publish-rate", rate}
	}
}

func echo(conns, size, rate string) func(*rig.Node) []string {
	return func(n *rig.Node) []string {
		return []string{"ws://" + n.Public + "/echo", "--conns", conns, "--size", size, "--rate", rate, "--for", measured}
	}
}

// The figures.

func deliveries() []figure {
	return []figure{
		{"CPU a delivery, µs", perMessage},
		{"delivery p99, ms", latency(func(r *loadgen.Result) *loadgen.Latencies { return r.Deliver }, p99)},
		{"last receiver, ms", latency(func(r *loadgen.Result) *loadgen.Latencies { return r.Last }, median)},
		{"lost", func(o outcome) (float64, bool) { return float64(o.load.Result.Messages.Lost), true }},
	}
}

func openConnections(o outcome) (float64, bool) { return float64(o.load.Result.Connections.Open), true }

func ramp(o outcome) (float64, bool) { return time.Duration(o.load.Result.Ramp).Seconds(), true }

func back(o outcome) (float64, bool) {
	for _, s := range o.load.Result.Storms {
		return time.Duration(s.After).Seconds(), true
	}
	return 0, false
}

// latency reads one point of a distribution, in milliseconds.
func latency(of func(*loadgen.Result) *loadgen.Latencies, point func(*loadgen.Latencies) loadgen.Millis) func(outcome) (float64, bool) {
	return func(o outcome) (float64, bool) {
		l := of(o.load.Result)
		if l == nil {
			return 0, false
		}
		return float64(point(l)) / 1e6, true
	}
}

func median(l *loadgen.Latencies) loadgen.Millis  { return l.P50 }
func p99(l *loadgen.Latencies) loadgen.Millis     { return l.P99 }
func longest(l *loadgen.Latencies) loadgen.Millis { return l.Max }

func perMessage(o outcome) (float64, bool) {
	server := o.load.Result.Server
	if server == nil || server.PerMessage == 0 {
		return 0, false
	}
	return float64(server.PerMessage) / 1e3, true
}

func perConnection(o outcome) (float64, bool) {
	if o.load.Result.Server == nil {
		return 0, false
	}
	return float64(o.load.Result.Server.PerConnection) / 1e3, true
}

func memoryEnd(o outcome) (float64, bool) {
	if o.load.Result.Server == nil {
		return 0, false
	}
	return float64(o.load.Result.Server.MemoryEnd) / 1e6, true
}

// overflows is how many connections met a full accept queue, each time they tried.
func overflows(o outcome) (float64, bool) {
	if len(o.readings) == 0 {
		return 0, false
	}
	return float64(o.readings[len(o.readings)-1].Kernel.Overflows - o.readings[0].Kernel.Overflows), true
}

// tcpPeak is the most that lay in the queues of all sockets.
func tcpPeak(o outcome) (peak float64, known bool) {
	for _, r := range o.readings {
		peak, known = max(peak, float64(r.Kernel.TCP)/1e6), true
	}
	return peak, known
}

// firstSlow is how long after all were there the node let go of the first that did not read.
func firstSlow(o outcome) (float64, bool) {
	var full time.Time
	for _, r := range o.readings {
		if full.IsZero() && r.Connections >= o.load.Result.Connections.Wanted {
			full = r.At
		}
		if r.SlowConsumers > 0 {
			return r.At.Sub(full).Seconds(), !full.IsZero()
		}
	}
	return 0, false
}
