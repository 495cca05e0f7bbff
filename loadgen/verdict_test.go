// When a result is invalid, and when it is not.

package loadgen

import (
	"strings"
	"testing"
	"time"

	"c100k/loadgen/swarm"
)

func latency(p99 time.Duration) *Latencies { return &Latencies{Count: 1, P99: Millis(p99)} }

func TestVerdict(t *testing.T) {
	for _, test := range []struct {
		name   string
		result Result
		reason string // part of the only reason; empty: valid
		remark string // part of a remark
	}{
		{"fine", Result{Mode: swarm.Echo, Messages: MessageCounts{Received: 1}}, "", ""},
		{"busy", Result{Mode: swarm.Echo, Generator: Generator{Busy: 0.95}}, "busy 95 %", ""},
		{"just not busy", Result{Mode: swarm.Echo, Generator: Generator{Busy: 0.9}}, "", ""},
		{"late", Result{Mode: swarm.Echo, Rate: Rates{Target: 1, Achieved: 1}, Echo: latency(5 * time.Millisecond), Generator: Generator{Slip: latency(3 * time.Millisecond)}}, "left 3.00ms late", ""},
		{"late, but little of it", Result{Mode: swarm.Echo, Rate: Rates{Target: 1, Achieved: 1}, Echo: latency(50 * time.Millisecond), Generator: Generator{Slip: latency(3 * time.Millisecond)}}, "", ""},
		{"late, but as timers are", Result{Mode: swarm.Echo, Rate: Rates{Target: 1, Achieved: 1}, Echo: latency(time.Millisecond), Generator: Generator{Slip: latency(time.Millisecond)}}, "", ""},
		{"late without a schedule", Result{Mode: swarm.Echo, Echo: latency(time.Millisecond), Generator: Generator{Slip: latency(time.Second)}}, "", ""},
		{"late publisher", Result{Mode: swarm.Subscribe, Deliver: latency(5 * time.Millisecond), Generator: Generator{Publisher: latency(4 * time.Millisecond)}}, "left 4.00ms late", ""},
		{"late ticks of listeners", Result{Mode: swarm.Subscribe, Deliver: latency(5 * time.Millisecond), Generator: Generator{Slip: latency(time.Second)}}, "", ""},
		{"long turns", Result{Mode: swarm.Subscribe, Deliver: latency(10 * time.Millisecond), Generator: Generator{Turn: latency(9 * time.Millisecond)}}, "a turn of", ""},
		{"long turns of a longer fan-out", Result{Mode: swarm.Subscribe, Deliver: latency(100 * time.Millisecond), Generator: Generator{Turn: latency(9 * time.Millisecond)}}, "", ""},
		{"behind", Result{Mode: swarm.Echo, Rate: Rates{Due: 1000, Behind: 60}}, "did not get to 60 of 1000", ""},
		{"a little behind", Result{Mode: swarm.Echo, Rate: Rates{Due: 1000, Behind: 50}}, "", ""},
		{"no ports", Result{Mode: swarm.Idle, Connections: ConnectionCounts{Failed: map[string]uint64{swarm.NoPort: 3}}}, `"no local port" 3 times`, ""},
		{"no descriptors", Result{Mode: swarm.Idle, Connections: ConnectionCounts{Failed: map[string]uint64{swarm.NoDescriptor: 2}}}, `"no descriptor" 2 times`, ""},
		{"refused", Result{Mode: swarm.Idle, Connections: ConnectionCounts{Failed: map[string]uint64{"refused": 3}}}, "", ""},
		{"missing", Result{Mode: swarm.Idle, Connections: ConnectionCounts{Wanted: 10, Open: 9}}, "", "9 of 10 connections"},
		{"slow server", Result{Mode: swarm.Echo, Rate: Rates{Target: 100, Achieved: 80}}, "", "80 a second of the 100"},
		{"lost", Result{Mode: swarm.Echo, Messages: MessageCounts{Lost: 3, Received: 1}}, "", "3 messages had not come"},
		{"full machine", Result{Mode: swarm.Echo, Local: true, Generator: Generator{BoxBusy: 0.99}}, "", "99 % busy"},
		{"nobody publishes", Result{Mode: swarm.Subscribe}, "", "--publish URL"},
		{"changed", Result{Mode: swarm.Echo, Messages: MessageCounts{Corrupted: 151}}, "", "does this server put something in front"},
		{"a process hangs", Result{Mode: swarm.Idle, Missing: []string{"process 1 of the load"}}, "process 1 of the load", ""},
		{"trouble", Result{Mode: swarm.Idle, Server: &ServerCost{Trouble: "process 1 has ended"}}, "", "process 1 has ended"},
	} {
		v := judge(&test.result)
		if v.Valid != (test.reason == "") || v.Valid != (len(v.Reasons) == 0) || !strings.Contains(strings.Join(v.Reasons, "\n"), test.reason) {
			t.Errorf("%s: %+v, want the reason %q", test.name, v, test.reason)
		}
		if !strings.Contains(strings.Join(v.Remarks, "\n"), test.remark) {
			t.Errorf("%s: remarks %q, want %q", test.name, v.Remarks, test.remark)
		}
	}
}

// TestFailures: a run in which nothing worked has failed, whatever its figures are.
func TestFailures(t *testing.T) {
	for _, test := range []struct {
		name    string
		result  Result
		failure string // part of the only failure; empty: none
	}{
		{"fine", Result{Mode: swarm.Echo, Messages: MessageCounts{Sent: 5, Received: 5, Expected: 5}}, ""},
		{"some lost", Result{Mode: swarm.Echo, Messages: MessageCounts{Sent: 5, Received: 1, Expected: 5, Lost: 4}}, ""},
		{"publisher refused", Result{Mode: swarm.Subscribe, Publisher: "http://a/", Messages: MessageCounts{Refused: map[string]uint64{"http 401": 20}}}, "nothing was published: http 401 (20)"},
		{"published, nothing came", Result{Mode: swarm.Subscribe, Publisher: "http://a/", Messages: MessageCounts{Published: 3, Expected: 30, Lost: 30}}, "none of the 30"},
		{"never answers", Result{Mode: swarm.Echo, Messages: MessageCounts{Sent: 101, Expected: 101, Lost: 101}}, "none of the 101 messages that were expected came"},
		{"never acknowledges", Result{Mode: swarm.Publish, Messages: MessageCounts{Sent: 4, Expected: 4, Lost: 4}}, "none of the 4"},
		{"publish without answers", Result{Mode: swarm.Publish, Messages: MessageCounts{Sent: 4}}, ""},
		{"changes all", Result{Mode: swarm.Echo, Messages: MessageCounts{Sent: 151, Expected: 151, Lost: 151, Corrupted: 151}}, "came as it was sent"},
		{"sends nothing", Result{Mode: swarm.Echo, Messages: MessageCounts{Unsent: 9}}, "nothing was sent"},
		{"closes all", Result{Mode: swarm.Idle, Connections: ConnectionCounts{Wanted: 2, Open: 2, LostCount: 2, Lost: map[string]uint64{"closed 1008": 2}}}, "closed 1008 (2)"},
		{"closes some", Result{Mode: swarm.Idle, Connections: ConnectionCounts{Wanted: 2, Open: 2, OpenAtEnd: 1, LostCount: 1}}, ""},
		{"churn without any", Result{Mode: swarm.Churn, Connections: ConnectionCounts{Failed: map[string]uint64{"http 503": 7}}}, "http 503 (7)"},
		{"interrupted", Result{Mode: swarm.Echo, Interrupted: true, Messages: MessageCounts{Sent: 1, Expected: 1, Lost: 1}}, ""},
	} {
		v := judge(&test.result)
		text := strings.Join(v.Failures, "\n")
		if (test.failure == "") != (len(v.Failures) == 0) || len(v.Failures) > 1 || !strings.Contains(text, test.failure) {
			t.Errorf("%s: failures %q, want %q", test.name, v.Failures, test.failure)
		}
	}
}
