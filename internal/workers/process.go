// One worker process, as the parent sees it: its part of the machine, its start and its end.

package workers

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"c100k/internal/admin"
	"c100k/server"
)

// process is a worker's process. Any goroutine.
type process struct {
	// immutable after startProcess
	cmd     *exec.Cmd
	link    *Link
	port    *workerPort
	client  *client
	signs   *signs
	started time.Time
	serving chan struct{} // closed when the worker has said that it serves
	ended   chan struct{} // closed when the process has ended

	once sync.Once // for serving

	killed bool // because it was silent; only the goroutine that waits for the process

	mu      sync.Mutex // guards the field below
	failure *Failure   // why the worker ended, in its own words
}

// startProcess starts a worker that listens on port and talks to the parent over its link.
// challenge answers its ACME requests and handler all others; taken is called with the connections
// that it hands over. At the end of the process the port is closed, and what it held of the limits
// is given back.
func startProcess(s *starter, cmd *exec.Cmd, port *workerPort, orders func() *Orders, challenge http.HandlerFunc, handler http.Handler, taken func(*move), limits *limits) (*process, error) {
	link, theirs, err := newPair()
	if err != nil {
		port.Close()
		return nil, err
	}
	defer theirs.Close()
	cmd.ExtraFiles = []*os.File{theirs, port.file} // descriptors 3 and 4
	if limits != nil {
		cmd.ExtraFiles = append(cmd.ExtraFiles, limits.table.File()) // 5
	}
	if cmd.Env == nil {
		cmd.Env = os.Environ()
	}
	cmd.Env = append(cmd.Env, linkVariable+"=3")
	if err := s.start(cmd); err != nil {
		link.Close()
		port.Close()
		return nil, fmt.Errorf("start a worker: %w", err)
	}
	p := &process{cmd: cmd, link: link, port: port, client: newClient(link), signs: newSigns(), started: time.Now(),
		serving: make(chan struct{}), ended: make(chan struct{})}
	link.taken, link.beat = taken, p.signs.beat
	private := admin.Server(p.handler(orders, challenge, handler))
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = private.Serve(link) // it ends with the link
	}()
	go func() {
		_ = cmd.Wait() // the state of the process tells how it ended
		// While the parent holds its socket, the kernel would queue connections that no process accepts.
		_ = port.suspend()
		_ = port.Close()
		limits.giveBack()
		p.signs.close()
		_ = link.Close()
		<-served
		_ = private.Close()
		p.client.close()
		close(p.ended)
	}()
	return p, nil
}

// handler answers requests of the worker.
func (p *process) handler(orders func() *Orders, challenge http.HandlerFunc, other http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /worker/orders", func(rw http.ResponseWriter, _ *http.Request) { writeDocument(rw, orders()) })
	mux.HandleFunc("GET /worker/challenge", challenge)
	mux.HandleFunc("POST /worker/serving", func(http.ResponseWriter, *http.Request) {
		p.once.Do(func() { close(p.serving) })
	})
	mux.HandleFunc("POST /worker/failed", func(rw http.ResponseWriter, r *http.Request) {
		failure := new(Failure)
		if err := readDocument(r.Body, failure); err != nil {
			admin.NewProblem(http.StatusBadRequest, "bad_failure", err.Error()).Write(rw)
			return
		}
		p.mu.Lock()
		p.failure = failure
		p.mu.Unlock()
	})
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		// What clients send comes over the link too, and all of it begins with /v1/. It must not
		// meet the mux, which takes ".." out of a path before it looks: it would redirect the topic
		// ".." away, and /v1/../worker/orders to the orders.
		if strings.HasPrefix(r.URL.Path, "/worker/") {
			mux.ServeHTTP(rw, r)
			return
		}
		other.ServeHTTP(rw, r)
	})
}

// signal sends a signal to the process, unless it has ended.
func (p *process) signal(s syscall.Signal) {
	_ = p.cmd.Process.Signal(s) // it fails only for one that has ended
}

// failed is why the worker ended, in its own words, nil where it said nothing.
func (p *process) failed() *Failure {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.failure
}

// answers tells whether the worker serves and has given a sign of life in time.
func (p *process) answers() bool { return p.serves() && p.signs.silence() == nil }

// serves tells whether the worker has reported that it serves, and still runs.
func (p *process) serves() bool {
	select {
	case <-p.ended:
		return false
	default:
	}
	select {
	case <-p.serving:
		return true
	default:
		return false
	}
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// ParentMemory is the memory of the process that runs the node of c: all where it is the only one,
// and the share of one worker for the parent of several, with the bus in it.
func ParentMemory(c *server.Config) int {
	if c.Workers > 1 {
		return c.Share().Memory
	}
	return c.Memory
}

// procs is GOMAXPROCS of a worker: one processor more than loops, so that the acceptor, HTTP and
// the collector need not wait for a loop, and its part of the cores where that is more.
func procs(c *server.Config) int {
	cores := runtime.GOMAXPROCS(0)
	return max(c.Loops+1, (cores+c.Workers-1)/c.Workers)
}
