// The summary at the end of a run, for people.

package report

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"c100k/loadgen"
	"c100k/loadgen/swarm"
)

// WriteText writes the summary of a result.
func WriteText(w io.Writer, r *loadgen.Result) error {
	text := &strings.Builder{}
	fmt.Fprintf(text, "\n%s  mode %s, protocol %s\n\n", loadgen.Printable(r.URL), r.Mode, r.Protocol)
	for _, part := range []func(*strings.Builder, *loadgen.Result){writeConnections, writeMessages, writeLatencies, writeStorms, writeRecovery, writeServer, writeGenerator, writeBounds, writeVerdict} {
		part(text, r)
	}
	_, err := io.WriteString(w, text.String())
	return err
}

// line writes a line of the summary, its first word padded.
func line(w io.Writer, name, format string, args ...any) {
	fmt.Fprintf(w, "  %-12s "+format+"\n", append([]any{name}, args...)...)
}

func writeConnections(w *strings.Builder, r *loadgen.Result) {
	c := &r.Connections
	switch {
	case r.Mode == swarm.Churn:
		line(w, "connections", "%s opened and closed, %s a second", number(c.Opened), figure(c.PerSecond))
	default:
		line(w, "connections", "%s of %s open after %v, %s a second", number(uint64(c.Open)), number(uint64(c.Wanted)), r.Ramp, figure(c.PerSecond))
	}
	if c.FailedCount > 0 {
		line(w, "failed", "%s: %s", number(c.FailedCount), reasons(c.Failed))
	}
	if c.LostCount > 0 {
		line(w, "dropped", "%s: %s", number(c.LostCount), reasons(c.Lost))
	}
	if c.Reconnected > 0 {
		line(w, "reconnected", "%s", number(c.Reconnected))
	}
}

func writeMessages(w *strings.Builder, r *loadgen.Result) {
	m, rate := &r.Messages, &r.Rate
	if r.Mode == swarm.Churn || m.Sent+m.Published+m.Received+m.Unsent+m.Foreign == 0 && loadgen.Total(m.Refused) == 0 {
		return
	}
	sent, verb := m.Sent, "sent"
	if r.Publisher != "" {
		sent, verb = m.Published, "published"
	}
	target := "as fast as they came back"
	if rate.Target > 0 {
		target = fmt.Sprintf("of %s/s", figure(rate.Target))
	}
	line(w, "messages", "%s %s in %v, %s/s %s; %s received, %s/s", number(sent), verb, r.Measured, figure(rate.Achieved), target, number(m.Received), figure(rate.Received))
	line(w, "", "lost %s, duplicated %s, reordered %s", number(m.Lost), number(m.Duplicated), number(m.Reordered))
	for _, extra := range []struct {
		n    uint64
		what string
	}{{m.Corrupted, "changed on the way"}, {m.Unsent, "were due and had no way out"}, {m.Gaps, "dropped, says the server"},
		{m.MissedAway, "were sent while a connection was down, or on their way when the load closed it"}, {m.Foreign, "came from others, or had no token of this run"}} {
		if extra.n > 0 {
			line(w, "", "%s %s", number(extra.n), extra.what)
		}
	}
	if n := loadgen.Total(m.Refused); n > 0 {
		line(w, "", "%s publishes failed: %s", number(n), reasons(m.Refused))
	}
}

func writeLatencies(w *strings.Builder, r *loadgen.Result) {
	table := tabwriter.NewWriter(w, 0, 8, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(table, "\t\tp50\tp90\tp99\tp99.9\tmax\tcount\t\n")
	for _, row := range distributions(r) {
		if l := row.Latencies; l != nil {
			fmt.Fprintf(table, "\t%s\t%v\t%v\t%v\t%v\t%v\t%s\t\n", row.Name, l.P50, l.P90, l.P99, l.P999, l.Max, number(uint64(l.Count)))
		}
	}
	w.WriteString("\n")
	// A strings.Builder takes everything.
	_ = table.Flush()
	w.WriteString("\n")
}

func writeStorms(w *strings.Builder, r *loadgen.Result) {
	for i, s := range r.Storms {
		outcome := "all back"
		if !s.All {
			outcome = fmt.Sprintf("%s back", number(uint64(s.Back)))
		}
		line(w, fmt.Sprintf("storm %d", i+1), "%s dropped, %s after %v", number(uint64(s.Dropped)), outcome, s.After)
	}
}

func writeRecovery(w *strings.Builder, r *loadgen.Result) {
	x := r.Recovery
	if x == nil {
		return
	}
	slowest, all := loadgen.Millis(0), true
	for _, c := range x.Cuts {
		slowest, all = max(slowest, c.After), all && c.All
	}
	back := fmt.Sprintf("all back within %v", slowest)
	if !all {
		back = "not all came back"
	}
	line(w, "recovery", "%s cut off in %d cuts, %s; recovered %s, reset %s", number(x.Cut), len(x.Cuts), back, number(x.Recovered), number(x.Reset))
}

func writeServer(w *strings.Builder, r *loadgen.Result) {
	s := r.Server
	if s == nil {
		return
	}
	cost := []string{fmt.Sprintf("%.2f processors", s.Cores)}
	if s.PerMessage > 0 {
		cost = append(cost, fmt.Sprintf("%v a message received", s.PerMessage))
	}
	if s.PerConnection > 0 {
		cost = append(cost, fmt.Sprintf("%v a connection opened", s.PerConnection))
	}
	line(w, "server", "%s", strings.Join(cost, ", "))
	if r.Mode == swarm.Churn {
		return
	}
	ends := ""
	if s.BothEnds {
		ends = ", both ends of it"
	}
	memory := "nothing more"
	if s.PerConn > 0 {
		memory = loadgen.FormatBytes(s.PerConn)
	}
	line(w, "", "%s a connection (%s private in %d %s); kernel %s a connection%s", memory, loadgen.FormatBytes(float64(s.MemoryOpen)),
		s.Processes, loadgen.Plural(s.Processes, "process", "processes"), loadgen.FormatBytes(s.KernelPerConn), ends)
}

func writeGenerator(w *strings.Builder, r *loadgen.Result) {
	g := &r.Generator
	text := fmt.Sprintf("%d %s, busy %.0f %%", g.Processes, loadgen.Plural(g.Processes, "process", "processes"), g.Busy*100)
	if g.PerMessage > 0 {
		text += fmt.Sprintf(", %v a message received", g.PerMessage)
	}
	if late := r.Schedule(); late != nil {
		text += fmt.Sprintf(", schedule late by %v at p99", late.P99)
	}
	line(w, "generator", "%s", text)
}

func writeBounds(w *strings.Builder, r *loadgen.Result) {
	for _, b := range r.Bounds {
		line(w, "fail if", "%s: %s, it is %s", b.Expression, boundWord(b), b.Shown)
	}
}

func writeVerdict(w *strings.Builder, r *loadgen.Result) {
	if r.Interrupted {
		line(w, "interrupted", "after %v of the measured part", r.Measured)
	}
	for _, remark := range r.Verdict.Remarks {
		line(w, "note", "%s", remark)
	}
	switch {
	case len(r.Verdict.Failures) > 0:
		line(w, "result", "FAILED: nothing worked that this run was to measure")
		for _, failure := range r.Verdict.Failures {
			line(w, "", "- %s", loadgen.Printable(failure))
		}
	case r.Verdict.Valid:
		line(w, "result", "valid: the generator was not the bottleneck")
	}
	if r.Verdict.Valid {
		return
	}
	line(w, "result", "INVALID: the figures are not those of the server alone")
	for _, reason := range r.Verdict.Reasons {
		line(w, "", "- %s", reason)
	}
}

// reasons lists counts by reason.
func reasons(by map[string]uint64) string {
	var words []string
	for _, reason := range loadgen.Reasons(by) {
		words = append(words, reason.Name+" "+number(reason.Count))
	}
	return strings.Join(words, ", ")
}

// number writes a count with commas between thousands.
func number(n uint64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// figure writes a rate: whole from 100 on.
func figure(f float64) string {
	switch {
	case f >= 99.95:
		return number(uint64(f + 0.5))
	case f >= 10:
		return fmt.Sprintf("%.1f", f)
	}
	return strings.TrimSuffix(fmt.Sprintf("%.2f", f), ".00")
}
