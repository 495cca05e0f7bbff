// Answers that are streams of Server-Sent Events.

package admin

import (
	"net/http"
	"sync"
	"time"
)

// eventStream is such an answer. Any goroutine.
type eventStream struct {
	w       http.ResponseWriter
	control *http.ResponseController

	mu     sync.Mutex // guards w, and the fields below
	opened bool
	failed error
}

func newEventStream(w http.ResponseWriter) *eventStream {
	s := &eventStream{w: w, control: http.NewResponseController(w)}
	// The deadline of the server is for requests that end; this one is read to its end, and passing it
	// would end the request's context. A ResponseWriter without a connection has none.
	_ = s.control.SetReadDeadline(time.Time{})
	return s
}

// send sends an event; name is its type, empty for the usual one.
func (s *eventStream) send(name string, document any) error {
	head := "data: "
	if name != "" {
		head = "event: " + name + "\ndata: "
	}
	line := append([]byte(head), mustJSON(document)...) // which has no line break but at its end
	return s.write(append(line, '\n'))
}

// write sends bytes, within StreamWriteTimeout. The first call begins the answer.
func (s *eventStream) write(p []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failed != nil {
		return s.failed
	}
	if !s.opened {
		s.opened = true
		s.w.Header().Set("Content-Type", "text/event-stream")
		s.w.WriteHeader(http.StatusOK)
	}
	_ = s.control.SetWriteDeadline(time.Now().Add(StreamWriteTimeout)) // as for reading
	if _, s.failed = s.w.Write(p); s.failed == nil {
		s.failed = s.control.Flush()
	}
	return s.failed
}

// beat shows a client that has begun to listen, and proxies on the way, that the stream is alive,
// until end is called; end waits for the last write.
func (s *eventStream) beat() (end func()) {
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		tick := time.NewTicker(StreamBeat)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				if s.write([]byte(": alive\n\n")) != nil {
					return
				}
			}
		}
	}()
	return func() { close(stop); <-stopped }
}
