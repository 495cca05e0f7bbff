// The live view: a run on a terminal, with keys.

package view

import (
	"context"
	"io"
	"math"

	tea "charm.land/bubbletea/v2"

	"c100k/loadgen"
)

// rateStep is by how much a key changes the rate.
const rateStep = 1.25

// Live runs it and shows how it goes, until it has ended. Keys change the rate and end it early;
// Ctrl-C interrupts it as the end of ctx does. environ says what the terminal can do, and whether
// it wants colors (NO_COLOR).
func Live(ctx context.Context, run *loadgen.Run, in io.Reader, out io.Writer, environ []string) (*loadgen.Result, error) {
	ctx, interrupt := context.WithCancel(ctx)
	defer interrupt()
	program := tea.NewProgram(&model{run: run, interrupt: interrupt, width: 80}, tea.WithInput(in), tea.WithOutput(out), tea.WithEnvironment(environ),
		tea.WithoutSignalHandler())
	var result *loadgen.Result
	var failed error
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		go func() {
			for p := range run.Watch() {
				program.Send(p)
			}
		}()
		result, failed = run.Do(ctx)
		program.Quit()
	}()
	if _, err := program.Run(); err != nil {
		interrupt() // the terminal is gone
	}
	<-ended
	return result, failed
}

// control is what the view wants of a run: it is one.
type control interface {
	Scale(factor float64)
	Finish()
}

// model is the view as bubbletea has it.
type model struct {
	run       control
	interrupt func()
	width     int
	notice    string // what the last key did

	latest   loadgen.Progress
	received []float64 // a second, the newest last
	p99      []float64 // milliseconds
}

// historyMax is how many seconds the sparklines can show: no terminal is wider.
const historyMax = 400

// Init implements tea.Model.
func (m *model) Init() tea.Cmd { return nil }

// Update implements tea.Model.
func (m *model) Update(message tea.Msg) (tea.Model, tea.Cmd) {
	switch message := message.(type) {
	case tea.WindowSizeMsg:
		m.width = message.Width
	case tea.KeyPressMsg:
		m.press(message.String())
	case loadgen.Progress:
		m.take(message)
	}
	return m, nil
}

func (m *model) press(key string) {
	switch key {
	case "+", "=":
		m.run.Scale(rateStep)
		m.notice = "rate up"
	case "-", "_":
		m.run.Scale(1 / rateStep)
		m.notice = "rate down"
	case "e", "q":
		m.run.Finish()
		m.notice = "ending"
	case "ctrl+c":
		m.interrupt()
		m.notice = "interrupted: waiting for what is on its way"
	}
}

func (m *model) take(p loadgen.Progress) {
	m.latest = p
	latency := math.NaN()
	if p.Second.Latency != nil {
		latency = float64(p.Second.Latency.P99) / 1e6
	}
	m.received, m.p99 = appendBounded(m.received, p.Second.Received), appendBounded(m.p99, latency)
}

func appendBounded(values []float64, v float64) []float64 {
	values = append(values, v)
	return values[max(0, len(values)-historyMax):]
}

// View implements tea.Model.
func (m *model) View() tea.View {
	v := tea.NewView(m.render())
	v.AltScreen = true
	v.WindowTitle = "c100k load"
	return v
}
