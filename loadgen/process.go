// One process of a run, as the coordinator sees it.

package loadgen

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"c100k/loadgen/swarm"
)

// report is a message of a process: a sample, or its end.
type report struct {
	process int
	sample  swarm.Sample
	ended   bool
	err     error // with ended: why, where it was not asked to
}

// process is a child that runs clients. Its own goroutine reads it; order may be called by the
// coordinator alone.
type process struct {
	number int
	cmd    *exec.Cmd
	stdin  *os.File
	orders *json.Encoder
	stderr tail
	done   chan struct{} // closed when the process has ended
}

// start launches the program as one process of the run. What it says goes to inbox until it ends;
// the last report has ended set. Once over is closed nobody listens any more.
func start(command []string, spec swarm.Spec, inbox chan<- report, over <-chan struct{}) (*process, error) {
	in, out, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer in.Close()
	p := &process{number: spec.Process, cmd: exec.Command(command[0], command[1:]...), stdin: out, orders: json.NewEncoder(out), done: make(chan struct{})}
	p.cmd.Args[0] = os.Args[0] // what ps shows; the path may be one below /proc
	p.cmd.Stdin, p.cmd.Stderr = in, &p.stderr
	// A group of its own: an interrupt at the terminal is for the coordinator, which then has the
	// process settle. When the coordinator goes, so does the other end of stdin, and the process ends
	// by itself.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	stdout, err := p.cmd.StdoutPipe()
	if err == nil {
		err = p.cmd.Start()
	}
	if err != nil {
		out.Close()
		return nil, fmt.Errorf("start process %d of the load: %w", spec.Process, err)
	}
	hand := func(r report) {
		select {
		case inbox <- r:
		case <-over:
		}
	}
	go p.read(stdout, hand)
	return p, p.send(spec)
}

// order says something to the process. One that does not read it within orderWithin hangs, and that
// is an error.
func (p *process) order(o swarm.Order) error { return p.send(o) }

func (p *process) send(v any) error {
	if err := p.stdin.SetWriteDeadline(time.Now().Add(orderWithin)); err != nil {
		return err
	}
	if err := p.orders.Encode(v); err != nil {
		return fmt.Errorf("process %d of the load takes no orders: %w", p.number, err)
	}
	return nil
}

// read hands on what the process says, until it ends.
func (p *process) read(stdout io.Reader, hand func(report)) {
	defer close(p.done)
	lines := bufio.NewScanner(stdout)
	lines.Buffer(make([]byte, 64<<10), sampleBytesMax)
	var failed error
	last := false
	for failed == nil && lines.Scan() {
		var s swarm.Sample
		if err := json.Unmarshal(lines.Bytes(), &s); err != nil {
			failed = fmt.Errorf("process %d of the load says %.100q, which is no sample: %w", p.number, lines.Bytes(), err)
			break
		}
		last = s.Last
		hand(report{process: p.number, sample: s})
	}
	if failed == nil {
		failed = lines.Err()
	}
	if failed != nil {
		p.kill()
	}
	err := p.cmd.Wait()
	if failed == nil && (err != nil || !last) {
		failed = p.endError(err)
	}
	hand(report{process: p.number, ended: true, err: failed})
}

func (p *process) endError(err error) error {
	text := fmt.Sprintf("process %d of the load ended before it should", p.number)
	if err != nil {
		text += ": " + err.Error()
	}
	if words := p.stderr.String(); words != "" {
		text += ": " + words
	}
	return errors.New(text)
}

// kill ends the process at once; one that has ended already does not mind.
func (p *process) kill() { _ = p.cmd.Process.Kill() }

// stop ends the process and waits for it, at most until the context ends; then it is killed.
func (p *process) stop(ctx context.Context) {
	p.stdin.Close()
	select {
	case <-p.done:
	case <-ctx.Done():
		p.kill()
		<-p.done
	}
}

// tail is a writer that keeps the last stderrBytesMax bytes.
type tail struct {
	mu   sync.Mutex // guards the fields below
	last []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last = append(t.last, p...)
	if over := len(t.last) - stderrBytesMax; over > 0 {
		t.last = t.last[over:]
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimSpace(string(t.last))
}
