// The live view as text.

package view

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/x/ansi"

	"c100k/loadgen"
	"c100k/loadgen/swarm"
)

// The colors are those of the terminal's own palette, which its owner can read on its background.
var (
	strong = lipgloss.NewStyle().Bold(true)
	faint  = lipgloss.NewStyle().Faint(true)
	good   = lipgloss.NewStyle().Foreground(lipgloss.Green)
	bad    = lipgloss.NewStyle().Foreground(lipgloss.Red).Bold(true)
	accent = lipgloss.NewStyle().Foreground(lipgloss.Cyan)
)

const (
	labelWidth = 13
	// reasonsShown bounds the table of reasons.
	reasonsShown = 5
	// widthLeast is where lines begin to be cut.
	widthLeast = 40
)

// page collects lines, none wider than the terminal.
type page struct {
	text  strings.Builder
	width int
}

func (p *page) line(label, format string, args ...any) {
	full := faint.Render(label+strings.Repeat(" ", max(0, labelWidth-len(label)))) + fmt.Sprintf(format, args...)
	p.text.WriteString(" " + ansi.Truncate(full, p.width-1, "…") + "\n")
}

func (p *page) gap() { p.text.WriteByte('\n') }

// room is the width that is left for a drawing beside a label and a text.
func (p *page) room(words int) int { return max(0, p.width-2-labelWidth-words) }

func (m *model) render() string {
	p := &page{width: max(m.width, widthLeast)}
	x := &m.latest
	if x.Phase == "" {
		p.line("", "looking for the target …")
		p.line("", "%s", faint.Render("ctrl+c interrupts"))
		return p.text.String()
	}
	p.gap()
	p.line("target", "%s", strong.Render(loadgen.Printable(x.URL)))
	p.line("mode", "%s over %s", x.Mode, x.Protocol)
	m.renderPhase(p)
	p.gap()
	m.renderConnections(p)
	p.gap()
	if x.Phase != loadgen.Ramp {
		if x.Mode != swarm.Idle && x.Mode != swarm.Storm { // they say nothing
			m.renderRate(p)
			p.gap()
		}
		m.renderLatency(p)
		p.gap()
	}
	m.renderHealth(p)
	p.gap()
	p.line("", "%s", faint.Render("+ - rate   e end   ctrl+c interrupt"))
	if m.notice != "" {
		p.line("", "%s", accent.Render(m.notice))
	}
	return p.text.String()
}

var order = []loadgen.Phase{loadgen.Ramp, loadgen.Measure, loadgen.Settling}

func (m *model) renderPhase(p *page) {
	x := &m.latest
	var names []string
	shown := order
	if x.Phase == loadgen.Warm || x.Phase == loadgen.Between { // only some runs have a warm-up
		shown = slices.Insert(slices.Clone(order), 1, x.Phase)
	}
	for _, phase := range shown {
		name := faint.Render(string(phase))
		if phase == x.Phase {
			name = accent.Bold(true).Render(string(phase))
		}
		names = append(names, name)
	}
	left := ""
	if x.Left > 0 {
		left = fmt.Sprintf(", %v left", x.Left.Round(time.Second))
	}
	p.line("phase", "%s  %v%s", strings.Join(names, faint.Render(" › ")), x.Elapsed.Round(time.Second), left)
}

func (m *model) renderConnections(p *page) {
	x := &m.latest
	s := &x.Second
	words := fmt.Sprintf("%d of %d open", s.Open, x.Wanted)
	p.line("connections", "%s  %s", words, good.Render(bar(float64(s.Open)/float64(max(1, x.Wanted)), min(30, p.room(len(words)+2)))))
	text := fmt.Sprintf("%d connecting, %.0f/s", s.Connecting, s.Opened)
	if x.Connect != nil {
		text += fmt.Sprintf(", p50 %v p99 %v", x.Connect.P50, x.Connect.P99)
	}
	p.line("", "%s", text)
	m.renderReasons(p, "failed", x.Failed)
	m.renderReasons(p, "dropped", x.Lost)
}

// renderReasons is the table of what went wrong, the most frequent first.
func (m *model) renderReasons(p *page, label string, reasons map[string]uint64) {
	all := loadgen.Reasons(reasons)
	for i, reason := range all {
		if i == reasonsShown {
			p.line("", "%s", faint.Render(fmt.Sprintf("and %d more %s", len(all)-i, loadgen.Plural(len(all)-i, "reason", "reasons"))))
			break
		}
		p.line(label, "%s  %s", bad.Render(fmt.Sprintf("%8d", reason.Count)), reason.Name)
		label = ""
	}
}

func (m *model) renderRate(p *page) {
	s := &m.latest.Second
	if m.latest.Mode == swarm.Churn {
		p.line("opened", "%.0f%s, %d in all", s.Opened, ofTarget(s), m.latest.Opened)
		return
	}
	p.line("sent", "%.0f%s, %d in all", s.Sent, ofTarget(s), m.latest.Sent)
	words := fmt.Sprintf("%.0f/s, %d in all", s.Received, m.latest.Received)
	p.line("received", "%s", words)
	p.line("", "%s", accent.Render(sparkline(m.received, p.room(0))))
}

func (m *model) renderLatency(p *page) {
	x := &m.latest
	if l := x.Second.Latency; l != nil {
		p.line("latency now", "p50 %-7v p90 %-7v p99 %-7v max %v", l.P50, l.P90, l.P99, l.Max)
	}
	if l := x.Latency; l != nil {
		p.line("overall", "p50 %-7v p90 %-7v p99 %-7v max %v", l.P50, l.P90, l.P99, l.Max)
		p.line("p99", "%s", accent.Render(sparkline(m.p99, p.room(0))))
	}
}

// busyWarn is from where on the generator's business is shown as bad.
const busyWarn = 0.9

func (m *model) renderHealth(p *page) {
	x := &m.latest
	busy := fmt.Sprintf("%3.0f %% busy", x.Second.Busy*100)
	style := good
	if x.Second.Busy > busyWarn {
		style = bad
	}
	text := style.Render(busy) + fmt.Sprintf(", machine %.0f %%", x.CPUShare*100)
	if x.Late != nil {
		text += fmt.Sprintf(", late by %v at p99", x.Late.P99)
	}
	p.line("generator", "%s", text)
	if x.Server != nil {
		p.line("server", "%.2f processors in %d %s", x.Second.Cores, x.Server.Processes, loadgen.Plural(x.Server.Processes, "process", "processes"))
	}
	for _, remark := range x.Remarks {
		p.line("note", "%s", remark)
	}
}
