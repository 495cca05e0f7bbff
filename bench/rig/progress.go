// What a child process says while it runs.

package rig

import (
	"bytes"
	"strings"
	"sync"

	"c100k/loadgen"
)

// tailBytesMax is how much of it is kept: the last screen or so.
const tailBytesMax = 1500

// Progress takes what a process says while it goes on, and keeps the end of it. Any goroutine.
type Progress struct {
	Measures <-chan struct{} // closed when a load has begun the measured part

	mu     sync.Mutex // guards the fields below
	text   bytes.Buffer
	begins chan struct{} // nil when closed
}

// NewProgress is for one process.
func NewProgress() *Progress {
	begins := make(chan struct{})
	return &Progress{Measures: begins, begins: begins}
}

// Write implements io.Writer.
func (p *Progress) Write(text []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.text.Write(text)
	if p.begins != nil && strings.Contains(p.text.String(), " "+string(loadgen.Measure)+" ") {
		close(p.begins)
		p.begins = nil
	}
	if n := p.text.Len(); n > 2*tailBytesMax {
		p.text.Next(n - tailBytesMax)
	}
	return len(text), nil
}

// Tail is the end of what was said.
func (p *Progress) Tail() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	text := p.text.String()
	return text[max(0, len(text)-tailBytesMax):]
}
