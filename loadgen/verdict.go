// Whether a result can be believed: was it the server that was measured, or the generator?
//
// A result is invalid when the generator itself shaped what it measured. The criteria, and why they
// are what they are:
//
//   - busy: the loops of a process worked more than busyMax of the measured time. A loop with no
//     time left reads late what came early, and the difference looks like the server's.
//   - slip: messages went out later than they were due by slipFloor or more, and by more than
//     slipShare of the latency that was measured, both at the 99th percentile. Latency counts from
//     when a message was due, so the generator's own lateness is in it; that is right as long as it
//     is small. The timers of a kernel are no better than slipFloor.
//   - turn: the turns of the loops took turnFloor or more, and more than turnShare of the latency,
//     both at the 99th percentile: what comes in during a turn is seen at its end. A fan-out to
//     thousands of connections arrives in long turns of its own making, so the share is large.
//   - rate: the schedule had messages that went out neither nor were held back by the server (a
//     connection that is down, or does not read), more than behindMax of them.
//   - limits: connections failed because this box ran out of ports or descriptors for them. Those
//     failures are not the server's.
//
// A run fails when nothing worked: nothing was sent or published, nothing came of what was, or the
// server had closed every connection at the end. Its figures may be right, and there is nothing in
// them. A run is also invalid when a process of the load failed after the measured part, so that
// figures are missing.
//
// What makes a result less than it could be, but not wrong, is a remark: the server did not keep up
// with the rate, connections were missing, the machine had no idle processor left while both sides
// were on it.
package loadgen

import (
	"fmt"
	"strings"
	"time"

	"c100k/loadgen/swarm"
)

// Verdict is whether the figures are the server's.
type Verdict struct {
	Valid    bool     `json:"valid"`
	Reasons  []string `json:"reasons,omitempty"`  // why it is invalid
	Failures []string `json:"failures,omitempty"` // why the run failed: nothing worked
	Remarks  []string `json:"remarks,omitempty"`  // what to know about it
}

// The bounds that the comment of this file explains.
const (
	busyMax   = 0.90
	slipFloor = Millis(2 * time.Millisecond)
	slipShare = 0.5
	turnFloor = Millis(5 * time.Millisecond)
	turnShare = 0.8
	behindMax = 0.05

	// boxBusyMax is how busy a machine is on which two sides are in each other's way.
	boxBusyMax = 0.95
)

// localReasons are the failures to connect that are this box's own.
var localReasons = []string{swarm.NoPort, swarm.NoDescriptor}

// judge looks at a result that is otherwise complete.
func judge(r *Result) (v Verdict) {
	for _, criterion := range []func(*Result) string{tooBusy, tooLate, turnsTooLong, behind, outOfLimits} {
		if reason := criterion(r); reason != "" {
			v.Reasons = append(v.Reasons, reason)
		}
	}
	v.Reasons = append(v.Reasons, r.Missing...)
	if !r.Interrupted {
		for _, failure := range []func(*Result) string{nothingOpened, nothingPublished, nothingSent, nothingCame, allClosed} {
			if text := failure(r); text != "" {
				v.Failures = append(v.Failures, text)
			}
		}
	}
	for _, remark := range []func(*Result) string{connectionsMissing, rateNotReached, unsettled, changed, addresses, boxBusy, nobodyPublished, noCost} {
		if text := remark(r); text != "" {
			v.Remarks = append(v.Remarks, text)
		}
	}
	v.Valid = len(v.Reasons) == 0
	return v
}

func tooBusy(r *Result) string {
	if r.Generator.Busy <= busyMax {
		return ""
	}
	return fmt.Sprintf("the generator's loops were busy %.0f %% of the time; more than %.0f %% and it measures itself: "+
		"lower the rate, or give the generator processors of its own", r.Generator.Busy*100, busyMax*100)
}

func tooLate(r *Result) string {
	slip, latency := r.Schedule(), r.Latency()
	if slip == nil || latency == nil || slip.P99 < slipFloor || float64(slip.P99) <= slipShare*float64(latency.P99) {
		return ""
	}
	return fmt.Sprintf("messages left %v late at p99, which is most of the measured p99 of %v", slip.P99, latency.P99)
}

func turnsTooLong(r *Result) string {
	turn, latency := r.Generator.Turn, r.Latency()
	if turn == nil || latency == nil || !sends(r.Mode) && !hears(r.Mode) || turn.P99 < turnFloor || float64(turn.P99) <= turnShare*float64(latency.P99) {
		return ""
	}
	return fmt.Sprintf("a turn of the generator's loops took %v at p99, which is most of the measured p99 of %v", turn.P99, latency.P99)
}

func behind(r *Result) string {
	if r.Rate.Due == 0 || r.Rate.Behind <= behindMax*r.Rate.Due {
		return ""
	}
	return fmt.Sprintf("the generator did not get to %.0f of %.0f messages that were due, and the server did not hold it up", r.Rate.Behind, r.Rate.Due)
}

func outOfLimits(r *Result) string {
	var found []string
	for _, reason := range localReasons {
		if n := r.Connections.Failed[reason]; n > 0 {
			found = append(found, fmt.Sprintf("%q %d times", reason, n))
		}
	}
	if len(found) == 0 {
		return ""
	}
	return "connections failed for want of what this box has, not the server: " + strings.Join(found, ", ") + "; c100k doctor says what to change"
}

func connectionsMissing(r *Result) string {
	if r.Connections.Open >= r.Connections.Wanted || r.Mode == swarm.Churn {
		return ""
	}
	return fmt.Sprintf("%d of %d connections were open when the measured part began", r.Connections.Open, r.Connections.Wanted)
}

func rateNotReached(r *Result) string {
	if r.Rate.Target == 0 || r.Rate.Achieved >= (1-behindMax)*r.Rate.Target {
		return ""
	}
	return fmt.Sprintf("%.0f a second of the %.0f that were asked for went out", r.Rate.Achieved, r.Rate.Target)
}

func unsettled(r *Result) string {
	if r.Interrupted || r.Messages.Lost == 0 {
		return ""
	}
	return fmt.Sprintf("%d messages had not come %v after the end", r.Messages.Lost, r.Settled)
}

func boxBusy(r *Result) string {
	if !r.Local && r.Server == nil || r.Generator.BoxBusy <= boxBusyMax {
		return ""
	}
	return fmt.Sprintf("the machine was %.0f %% busy: all that ran on it was in each other's way, and latencies are those of a full machine", r.Generator.BoxBusy*100)
}

func changed(r *Result) string {
	if r.Messages.Corrupted == 0 {
		return ""
	}
	what := "messages arrived changed"
	if r.Mode == swarm.Echo {
		what = "answers arrived changed: does this server put something in front of what it echoes, or behind it?"
	}
	return fmt.Sprintf("%d %s", r.Messages.Corrupted, what)
}

func addresses(r *Result) string {
	switch n := len(r.Addresses); {
	case len(r.Silent) > 0:
		return fmt.Sprintf("%d of %d addresses of the target took no connection and were left out: %s", len(r.Silent), n+len(r.Silent), strings.Join(r.Silent, ", "))
	case n > 1:
		return fmt.Sprintf("the connections were spread over the %d addresses of the target: %s", n, strings.Join(r.Addresses, ", "))
	}
	return ""
}

func nobodyPublished(r *Result) string {
	if r.Messages.Received > 0 || r.Publisher != "" || !hears(r.Mode) {
		return ""
	}
	return fmt.Sprintf("nobody published: say where with --publish URL (%d messages of other senders came)", r.Messages.Foreign)
}

// The failures.

func nothingOpened(r *Result) string {
	if r.Mode != swarm.Churn || r.Connections.Opened > 0 {
		return ""
	}
	return "no connection opened: " + wordReasons(r.Connections.Failed)
}

func nothingPublished(r *Result) string {
	if r.Publisher == "" || r.Messages.Published > 0 {
		return ""
	}
	if len(r.Messages.Refused) == 0 {
		return "nothing was published"
	}
	return "nothing was published: " + wordReasons(r.Messages.Refused)
}

func nothingSent(r *Result) string {
	if !sends(r.Mode) || r.Messages.Sent > 0 || r.Messages.Unsent == 0 {
		return ""
	}
	return fmt.Sprintf("nothing was sent: the connections of %d messages were down, or took no more", r.Messages.Unsent)
}

// nothingCame holds for each mode in which what is sent comes back, is answered or is delivered.
func nothingCame(r *Result) string {
	m := &r.Messages
	switch {
	case m.Lost > 0 && m.Lost == m.Expected && m.Corrupted > 0:
		return fmt.Sprintf("none of the %d messages that were expected came as it was sent", m.Expected)
	case m.Lost > 0 && m.Lost == m.Expected:
		return fmt.Sprintf("none of the %d messages that were expected came", m.Expected)
	case m.Received == 0 && (r.Mode == swarm.Echo && m.Sent > 0 || hears(r.Mode) && m.Published > 0):
		return "no message of this run was received"
	}
	return ""
}

func allClosed(r *Result) string {
	c := &r.Connections
	if r.Mode == swarm.Churn || c.Open == 0 || c.OpenAtEnd > 0 || c.LostCount == 0 {
		return ""
	}
	return "the server closed every connection before the end: " + wordReasons(c.Lost)
}

func noCost(r *Result) string {
	if r.Server == nil || r.Server.Trouble == "" {
		return ""
	}
	return "the cost of the server is not known: " + r.Server.Trouble
}
