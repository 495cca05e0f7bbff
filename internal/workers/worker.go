// The life of a worker: it asks for its orders, serves until it is told to stop or its parent is
// gone, and ends.

package workers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strconv"

	"golang.org/x/sys/unix"

	"c100k/internal/admin"
	"c100k/internal/certs"
	"c100k/internal/quota"
	"c100k/server"
)

// linkVariable is the environment variable with the number of the descriptor of the link to the
// parent. It holds no secret.
const linkVariable = "C100K_WORKER_LINK"

// Inherited is the link to the parent that started this process as a worker, or nil. The worker's
// socket on the public port is the descriptor behind it. It takes the variable out of the
// environment, so that processes which this one starts do not use it. Call it once, at the start.
func Inherited() (*Link, error) {
	text, set := os.LookupEnv(linkVariable)
	if !set {
		return nil, nil
	}
	if err := os.Unsetenv(linkVariable); err != nil {
		return nil, err
	}
	fd, err := strconv.Atoi(text)
	if err != nil || fd < 3 {
		return nil, fmt.Errorf("%s=%s: it is for workers, which c100k serve --workers starts", linkVariable, text)
	}
	link, err := inheritLink(fd)
	if err == nil {
		link.quota = fd + 2
		link.port, err = inheritPort(fd + 1)
	}
	if err != nil {
		return nil, fmt.Errorf("%s=%s: it is for workers, which c100k serve --workers starts: %w", linkVariable, text, err)
	}
	return link, nil
}

// WorkOptions are what a worker needs of the program.
type WorkOptions struct {
	// NewLogger makes the worker's log.
	NewLogger func(o LogOrders, level *slog.LevelVar) (*slog.Logger, error)
}

// worker is a node as one of several.
type worker struct {
	link   *Link
	parent *client
	orders *Orders
	level  slog.LevelVar
	log    *slog.Logger
	node   *server.Server
	quota  *quota.Table // nil without limits that hold for the node
}

// Work runs a worker. It does what the parent at the other end of the link orders. It drains and
// returns when ctx ends, the parent orders it, or the parent has gone. An error was reported to the
// parent before, if there is one.
func Work(ctx context.Context, link *Link, opt WorkOptions) error {
	defer link.Close()
	if link.port != nil {
		defer link.port.Close()
	}
	w := &worker{link: link, parent: newClient(link)}
	defer w.parent.close()
	if err := w.prepare(ctx, opt); err != nil {
		return w.tell("/worker/failed", failureOf(err), err)
	}
	return w.serve(ctx)
}

// tell reports to the parent, and returns err in any case.
func (w *worker) tell(path string, document any, err error) error {
	ctx, cancel := context.WithTimeout(context.Background(), tellTimeout)
	defer cancel()
	return errors.Join(err, w.parent.do(ctx, http.MethodPost, path, document, nil))
}

// prepare asks for the orders and makes the node.
func (w *worker) prepare(ctx context.Context, opt WorkOptions) error {
	ctx, cancel := context.WithTimeout(ctx, tellTimeout)
	defer cancel()
	var err error
	if w.orders, err = w.ask(ctx); err != nil {
		return fmt.Errorf("read the orders: %w", err)
	}
	w.level.Set(w.orders.Log.Level)
	log, err := opt.NewLogger(w.orders.Log, &w.level)
	if err != nil {
		return fmt.Errorf("open the log: %w", err)
	}
	w.log = log.With("worker", w.orders.Worker)
	slog.SetDefault(w.log)
	// What ps and top show is the name of the file that was run, which for a worker is /proc/self/exe.
	// Nothing depends on it.
	_ = os.WriteFile("/proc/self/comm", []byte(filepath.Base(os.Args[0])), 0)
	runtime.GOMAXPROCS(w.orders.Procs)
	if w.orders.Config.NeedsQuota() {
		// Nothing else of this process can have the descriptor: the parent has passed it on.
		unix.CloseOnExec(w.link.quota)
		if w.quota, err = quota.Open(os.NewFile(uintptr(w.link.quota), "quota"), w.orders.Worker); err != nil {
			return err
		}
	}
	LimitHeap(w.orders.Config.Memory)
	config := w.config(w.orders.Config, w.orders.TLS)
	config.OnListen = func(net.Addr, net.Addr) {
		if err := w.tell("/worker/serving", nil, nil); err != nil {
			w.log.Error("the parent does not hear that this worker serves", "err", err)
		}
	}
	w.node, err = server.New(config)
	return err
}

// ask gets the orders.
func (w *worker) ask(ctx context.Context) (*Orders, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://localhost/worker/orders", nil)
	if err != nil {
		return nil, err
	}
	response, err := w.parent.http.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, problemOf(response)
	}
	return parseOrders(response.Body)
}

// config completes the configuration of the orders, or of a reload, with the parts that belong to
// this process.
func (w *worker) config(c server.Config, tls *certs.Material) server.Config {
	c.Logger = w.log
	c.Worker = &server.Worker{
		Durable: w.orders.Durable, Number: w.orders.Worker, Count: w.orders.Workers, LoopBase: w.orders.LoopBase,
		API: w.forward(), HandOver: w.handOver, Quota: w.quota, Alive: w.alive, AliveEvery: w.orders.Beat,
		TLS: tls, Challenge: w.challenge,
	}
	return c
}

// alive tells the parent that the loops run. It fails only if the parent does not read, or is dead;
// then nothing waits for it.
func (w *worker) alive() { _ = w.link.sendBeat() }

// handOver sends a client's connection to the parent, for another worker.
func (w *worker) handOver(to int, m *server.Handover, gone func(sent bool)) bool {
	return w.link.moves.add(&move{Handover: *m, worker: to}, gone)
}

// take takes a client's connection from the parent: one of another worker, or one of this worker
// that could not be delivered.
func (w *worker) take(m *move) {
	if m.back {
		w.node.TakeBack(&m.Handover)
	} else {
		w.node.TakeIn(&m.Handover)
	}
}

// forward sends requests for the API to the parent, which asks for the key and answers for all.
func (w *worker) forward() http.Handler {
	return &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "http", Host: "localhost"})
			r.SetXForwarded()
		},
		Transport: w.parent.http.Transport,
		ErrorLog:  slog.NewLogLogger(w.log.Handler(), slog.LevelDebug),
		ErrorHandler: func(rw http.ResponseWriter, _ *http.Request, err error) {
			admin.NewProblem(http.StatusServiceUnavailable, "unavailable", "the node's parent does not answer: "+err.Error()).Write(rw)
		},
	}
}

// serve serves the port and the link until the end.
func (w *worker) serve(ctx context.Context) error {
	private, err := w.private()
	if err != nil {
		return w.fail(err)
	}
	ln, err := w.link.port.listener()
	if err != nil {
		return w.fail(fmt.Errorf("%w on %s: %w", server.ErrListen, w.orders.Listen, err))
	}
	ctx, parentGone := context.WithCancel(ctx)
	defer parentGone()
	served := make(chan struct{})
	w.link.taken = w.take
	go func() {
		defer close(served)
		_ = private.Serve(w.link) // it ends with the link
		// A new parent needs the port now, not at the end of the drain.
		_ = w.link.port.suspend()
		parentGone()
	}()
	drain := context.AfterFunc(ctx, func() { _ = w.node.Shutdown(context.Background()) })
	defer drain()
	if err = w.node.Serve(ln); errors.Is(err, server.ErrServerClosed) {
		err = nil
	} else {
		err = w.tell("/worker/failed", failureOf(err), err)
	}
	_ = w.link.Close()
	_ = private.Close()
	<-served
	return err
}

// fail ends the node before it has served.
func (w *worker) fail(err error) error {
	_ = w.node.Close()
	return w.tell("/worker/failed", failureOf(err), err)
}

// private answers the parent: the admin API of this worker, and a reload.
func (w *worker) private() (*http.Server, error) {
	handler, err := w.node.AdminHandler()
	if err != nil {
		return nil, err
	}
	return admin.Server(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost && r.URL.Path == "/worker/reload" {
			w.reload(rw, r)
			return
		}
		handler.ServeHTTP(rw, r)
	})), nil
}

func (w *worker) reload(rw http.ResponseWriter, r *http.Request) {
	var change Change
	if err := readDocument(r.Body, &change); err != nil {
		admin.NewProblem(http.StatusBadRequest, "bad_change", err.Error()).Write(rw)
		return
	}
	if err := w.node.Reload(w.config(change.Config, change.TLS)); err != nil {
		admin.NewProblem(http.StatusConflict, "not_reloaded", err.Error()).Write(rw)
		return
	}
	w.level.Set(change.Level)
	rw.WriteHeader(http.StatusNoContent)
}
