// The view of `c100k top`.

package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/x/ansi"

	"c100k/internal/admin"
	"c100k/internal/figures"
)

// The colors are those of the terminal's own palette.
var (
	topStrong = lipgloss.NewStyle().Bold(true)
	topFaint  = lipgloss.NewStyle().Faint(true)
	topBad    = lipgloss.NewStyle().Foreground(lipgloss.Red).Bold(true)
)

// filterMax bounds what is typed as a filter, in bytes.
const filterMax = 255

// topView is the view as bubbletea has it.
type topView struct {
	ctx           context.Context
	api           *adminAPI
	width, height int

	tab           tab
	filter        [tabAll]string
	typing        bool // of a filter
	byTime        [tabAll]bool
	paused, ended bool

	latest, before *look
	failed         error
}

// asked is the message that a look has ended.
type asked struct {
	look *look
	err  error
}

// due is the message that the next look is due.
type due struct{}

// Init implements tea.Model.
func (v *topView) Init() tea.Cmd { return v.ask() }

// ask looks at the node in the background.
func (v *topView) ask() tea.Cmd {
	shown, filter := v.tab, v.filter[v.tab]
	return func() tea.Msg {
		l, err := v.api.ask(v.ctx, shown, filter)
		return asked{l, err}
	}
}

// Update implements tea.Model. There is one look at a time: the next is due a second after the end
// of the one before.
func (v *topView) Update(message tea.Msg) (tea.Model, tea.Cmd) {
	switch message := message.(type) {
	case tea.WindowSizeMsg:
		v.width, v.height = message.Width, message.Height
	case asked:
		v.take(message)
		return v, tea.Tick(topEvery, func(time.Time) tea.Msg { return due{} })
	case due:
		if v.paused {
			return v, tea.Tick(topEvery, func(time.Time) tea.Msg { return due{} })
		}
		return v, v.ask()
	case tea.KeyPressMsg:
		if v.press(message.String()) {
			v.ended = true
			return v, tea.Quit
		}
	}
	return v, nil
}

func (v *topView) take(a asked) {
	v.failed = a.err
	if a.look == nil || v.paused {
		return
	}
	v.before, v.latest = v.latest, a.look
}

// press handles a key; true ends the view.
func (v *topView) press(key string) (end bool) {
	if v.typing {
		v.typed(key)
		return key == "ctrl+c"
	}
	switch key {
	case "q", "ctrl+c":
		return true
	case "1", "2", "3", "4":
		v.tab = tab(key[0] - '1')
	case "tab":
		v.tab = (v.tab + 1) % tabAll
	case "p", "space":
		v.paused = !v.paused
	case "s":
		v.byTime[v.tab] = !v.byTime[v.tab]
	case "/":
		v.typing = v.tab != tabOverview
	}
	return false
}

// typed handles a key while a filter is typed.
func (v *topView) typed(key string) {
	f := &v.filter[v.tab]
	switch {
	case key == "enter":
		v.typing = false
	case key == "esc":
		v.typing, *f = false, ""
	case key == "backspace" && *f != "":
		runes := []rune(*f)
		*f = string(runes[:len(runes)-1])
	case key == "space":
		*f += " "
	case len([]rune(key)) == 1 && len(*f) < filterMax:
		*f += key
	}
}

// View implements tea.Model.
func (v *topView) View() tea.View {
	view := tea.NewView(v.page(v.height))
	view.AltScreen = true
	view.WindowTitle = "c100k top"
	return view
}

// page is what is shown, in at most so many lines.
func (v *topView) page(lines int) string {
	if v.latest == nil {
		if v.failed != nil {
			return topBad.Render(visible(v.failed.Error()))
		}
		return "asking the node"
	}
	p := []string{v.head()}
	switch {
	case v.failed != nil:
		p = append(p, topBad.Render(visible(v.failed.Error())))
	case len(v.latest.Missing) > 0:
		p = append(p, topBad.Render(visible("not whole: "+strings.Join(v.latest.Missing, "; "))))
	default:
		p = append(p, v.help())
	}
	switch v.tab {
	case tabTopics:
		p = append(p, v.topics()...)
	case tabConnections:
		p = append(p, v.connections()...)
	case tabCloses:
		p = append(p, v.closes()...)
	default:
		p = append(p, v.overview()...)
	}
	p = p[:min(len(p), max(lines, 3))]
	for i := range p {
		p[i] = ansi.Truncate(p[i], v.width, "…")
	}
	return strings.Join(p, "\n")
}

func (v *topView) head() string {
	var b strings.Builder
	b.WriteString(topStrong.Render("c100k "))
	for i, name := range []string{"overview", "topics", "connections", "closes"} {
		text := fmt.Sprintf(" %d %s ", i+1, name)
		if tab(i) == v.tab {
			text = topStrong.Reverse(true).Render(text)
		}
		b.WriteString(text)
	}
	if v.paused {
		b.WriteString(topBad.Render(" paused"))
	}
	return b.String()
}

func (v *topView) help() string {
	f := v.filter[v.tab]
	switch {
	case v.typing:
		return "filter: " + visible(f) + "_"
	case f != "":
		return topFaint.Render("filter: " + visible(f) + "   / change   s sort   p pause   q end")
	}
	return topFaint.Render("/ filter   s sort   p pause   q end")
}

// rate is how fast a total has grown between the last two looks, a second.
func (v *topView) rate(number func(*figures.Reading) float64) float64 {
	if v.before == nil {
		return 0
	}
	seconds := v.latest.at.Sub(v.before.at).Seconds()
	if seconds <= 0 {
		return 0
	}
	return max(0, number(v.latest.figures)-number(v.before.figures)) / seconds
}

func (v *topView) overview() []string {
	f := v.latest.figures
	total := func(key string) float64 { return v.rate(func(r *figures.Reading) float64 { return r.Number(key) }) }
	out := []string{
		fmt.Sprintf("connections %.0f   topics %.0f   up %v   %s", f.Number(figures.KeyConnections), f.Number("topics"),
			(time.Duration(f.Number(figures.KeyUptime)) * time.Second), visible(f.Text(figures.KeyVersion))),
		fmt.Sprintf("messages in %.0f/s   out %.0f/s   bytes in %.0f/s   out %.0f/s", total("messages.received_total"), total(figures.KeyMessagesSent),
			total("bytes.received_total"), total("bytes.sent_total")),
		fmt.Sprintf("processor %.2f cores   memory %.1f MiB   waiting to be sent %.0f bytes", total(figures.KeyCPU),
			f.Number(figures.KeyPrivateBytes)/(1<<20), f.Number("queues.outbox_bytes")),
	}
	open := f.At(figures.KeyOpen).Family
	var transports []string
	for name := range open {
		transports = append(transports, name)
	}
	slices.Sort(transports)
	line := "by transport"
	for _, name := range transports {
		line += fmt.Sprintf("  %s %.0f", name, open[name])
	}
	out = append(out, line)
	if f.Number(figures.KeyDraining) != 0 {
		out = append(out, topBad.Render("draining"))
	}
	if f.Number(figures.KeyBusConnected) == 0 {
		out = append(out, topBad.Render("bus: "+visible(f.Text(figures.KeyBusReason))))
	}
	out = append(out, "", topStrong.Render("behind"))
	return append(out, v.connections()...)
}

func (v *topView) topics() []string {
	list := slices.Clone(v.latest.Topics)
	slices.SortFunc(list, func(x, y admin.Topic) int {
		if v.byTime[v.tab] {
			return strings.Compare(x.Name, y.Name)
		}
		return cmp.Or(cmp.Compare(y.Subscribers, x.Subscribers), strings.Compare(x.Name, y.Name))
	})
	out := []string{topStrong.Render(fmt.Sprintf("%11s  %s", "subscribers", "topic"))}
	for _, t := range list {
		out = append(out, fmt.Sprintf("%11d  %s", t.Subscribers, oneLine(t.Name)))
	}
	return out
}

func (v *topView) connections() []string {
	list := slices.Clone(v.latest.Connections)
	if v.tab == tabOverview { // who is slow
		list = slices.DeleteFunc(list, func(c admin.Connection) bool { return c.Behind == 0 })
	}
	slices.SortFunc(list, func(x, y admin.Connection) int {
		if v.byTime[v.tab] {
			return cmp.Compare(y.Seconds, x.Seconds)
		}
		return cmp.Or(cmp.Compare(y.Behind, x.Behind), strings.Compare(x.ID, y.ID))
	})
	const form = "%-16s  %-10s  %-24s  %-24s  %8s  %6s  %s"
	out := []string{topStrong.Render(fmt.Sprintf(form, "connection", "transport", "address", "user", "behind", "topics", "for"))}
	for i := range list {
		c := &list[i]
		out = append(out, fmt.Sprintf(form, c.ID, c.Transport, c.Address, ansi.Truncate(oneLine(c.Sub), 24, "…"), fmt.Sprint(c.Behind), fmt.Sprint(c.Topics),
			time.Duration(c.Seconds)*time.Second))
	}
	return out
}

func (v *topView) closes() []string {
	list := slices.Clone(v.latest.Closes)
	if v.byTime[v.tab] {
		slices.SortStableFunc(list, func(x, y admin.Closed) int { return strings.Compare(x.Reason, y.Reason) })
	}
	const form = "%-8s  %-16s  %-15s  %-24s  %-24s  %8s  %s"
	out := []string{topStrong.Render(fmt.Sprintf(form, "ended", "connection", "reason", "address", "user", "owed", "text"))}
	for i := range list {
		c := &list[i]
		_, clock, _ := strings.Cut(c.Closed, "T")
		out = append(out, fmt.Sprintf(form, clock[:min(8, len(clock))], c.ID, c.Reason, c.Address, ansi.Truncate(oneLine(c.Sub), 24, "…"), fmt.Sprint(c.Owed), oneLine(c.Text)))
	}
	return out
}

// oneLine is a text of a client on one line of a terminal.
func oneLine(s string) string { return strings.NewReplacer("\n", `\n`, "\t", `\t`).Replace(visible(s)) }
