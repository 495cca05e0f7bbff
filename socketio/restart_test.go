package socketio

import (
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
)

// restarting is a server that is closed and replaced by another one on the same address.
type restarting struct {
	// Immutable.
	t    *testing.T
	addr string

	mu   sync.Mutex // guards the fields below
	io   *Server
	http *http.Server
	done chan struct{} // closed when http has ended
}

// restart begins to serve at addr, where a server was before.
func (r *restarting) restart() {
	l, err := net.Listen("tcp", r.addr)
	if err != nil {
		r.t.Error(err)
		return
	}
	r.start(l)
}

// start begins to serve.
func (r *restarting) start(l net.Listener) {
	r.io = answering(Options{Loops: 2, AllowV3: true})
	mux := http.NewServeMux()
	mux.Handle("/socket.io/", r.io.Handler())
	r.http, r.done = &http.Server{Handler: mux}, make(chan struct{})
	go func(s *http.Server, done chan struct{}) {
		defer close(done)
		_ = s.Serve(l) // until it is closed
	}(r.http, r.done)
}

// stop stops it as a program does on a signal: clients are disconnected, the port is closed.
func (r *restarting) stop() {
	if err := r.http.Close(); err != nil {
		r.t.Error(err)
	}
	<-r.done
	if err := r.io.Close(); err != nil {
		r.t.Error(err)
	}
}

// ServeHTTP restarts the server.
func (r *restarting) ServeHTTP(http.ResponseWriter, *http.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stop()
	r.restart()
}

func TestRestart(t *testing.T) {
	for _, tt := range []struct{ version, transports string }{
		{"4", "polling"}, {"4", "websocket"}, {"4", "polling,websocket"}, {"2", "polling,websocket"},
	} {
		t.Run(tt.version+" over "+tt.transports, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			r := &restarting{t: t, addr: l.Addr().String()}
			r.start(l)
			control := httptest.NewServer(r)
			defer func() {
				control.Close()
				r.stop()
			}()
			clients(t, "http://"+r.addr, "restart.mjs", tt.version, tt.transports, control.URL)
		})
	}
}
