// Publishing over WebSockets: a frame is a message, or a command of c100k.v1.

package loadgen

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/url"
	"strings"
	"sync"
	"time"

	"c100k/frame"
	"c100k/loadgen/swarm"
)

// socketLane is one WebSocket. publish and close are called by one goroutine; hear is another,
// which answers pings and, with c100k.v1, collects the answers.
type socketLane struct {
	probe  probe
	names  []string // topics, in quotes, as JSON has them; nil: a frame is the payload
	frames []byte
	op     frame.OpCode
	id     uint64
	socket *socket // nil: lost
	buffer []byte
}

// socket is a connection of a lane.
type socket struct {
	conn    net.Conn
	answers chan commandAnswer // closed when the connection has ended
	mu      sync.Mutex         // guards writing, and the field below
	cut     bool               // in the middle of a frame: nothing can follow
}

// commandAnswer is what c100k.v1 says to a command.
type commandAnswer struct {
	Type string `json:"type"`
	ID   uint64 `json:"id"`
	Code string `json:"code"`
}

// openSocketLanes finds out what is spoken, and connects.
func openSocketLanes(ctx context.Context, o *Options, target *url.URL, topics []string) ([]lane, error) {
	at, err := resolve(ctx, target)
	if err != nil {
		return nil, err
	}
	marked := strings.Contains(o.PublishURL, topicMark)
	var names []string
	if len(topics) > 0 && !marked && o.Protocol != swarm.Raw {
		first := probe{url: target, target: at, header: o.PublishHeader, trust: o.trust()}
		welcomed, err := first.envelope(ctx)
		if err != nil {
			return nil, err
		}
		if welcomed {
			for _, topic := range topics {
				quoted, err := json.Marshal(topic)
				if err != nil {
					return nil, err
				}
				names = append(names, string(quoted))
			}
		}
	}
	count := max(1, len(topics))
	switch {
	case names != nil && o.PublishBurst > 1:
		return nil, usagef("--publish-burst is for servers where a frame is a message: each command of c100k.v1 is answered before the next")
	case names != nil:
		count = min(count, lanesMax)
	case count > 1 && !marked:
		return nil, topicsWithoutMark(o)
	case count > lanesMax:
		return nil, usagef("--publish %s takes a connection for each topic, and there are --topics %d; allowed are %d, or publish by HTTP", o.PublishURL, count, lanesMax)
	}
	op := frame.OpCode(frame.OpText)
	if o.Binary {
		op = frame.OpBinary
	}
	var lanes []lane
	for i := range count {
		u := *target
		if marked {
			parsed, err := url.Parse(fill(o.PublishURL, topics[i], i))
			if err != nil {
				return nil, err
			}
			u = *parsed
		}
		l := &socketLane{probe: probe{url: &u, target: at, header: o.PublishHeader, trust: o.trust()}, names: names, op: op}
		lanes = append(lanes, l)
		if err := l.connect(ctx); err != nil {
			for _, opened := range lanes {
				opened.close()
			}
			return nil, err
		}
	}
	return lanes, nil
}

func (l *socketLane) connect(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	protocol := swarm.Raw
	if l.names != nil {
		protocol = swarm.V1
	}
	conn, early, err := l.probe.dial(ctx, protocol)
	if err != nil {
		return err
	}
	l.socket = &socket{conn: conn, answers: make(chan commandAnswer, 16)}
	go l.socket.hear(early, l.names != nil)
	return nil
}

func (l *socketLane) publish(ctx context.Context, topic int, messages [][]byte) (fate, error) {
	if l.socket == nil {
		if err := l.connect(ctx); err != nil {
			pauseUnless(ctx, publishRetry)
			return refused, errors.New("connection lost")
		}
	}
	l.frames = l.frames[:0]
	for _, message := range messages {
		if l.names != nil {
			l.id++
			// A payload is printable, and no character of it is escaped in JSON.
			l.buffer = fmt.Appendf(l.buffer[:0], `{"type":"publish","topic":%s,"data":"%s","id":%d}`, l.names[topic], message, l.id)
			message = l.buffer
		}
		l.frames = frame.AppendMasked(l.frames, l.op, true, newMask(), message)
	}
	if err := l.socket.send(ctx, l.frames); err != nil {
		l.close()
		if len(messages) == 1 { // a part of one frame is no message
			return refused, errors.New("connection lost")
		}
		return lost, errors.New("connection lost")
	}
	if l.names == nil {
		return accepted, nil
	}
	return l.await(ctx)
}

// await waits for the answer to the command that was sent last.
func (l *socketLane) await(ctx context.Context) (fate, error) {
	timer := time.NewTimer(publishTimeout)
	defer timer.Stop()
	for {
		select {
		case answer, open := <-l.socket.answers:
			switch {
			case !open:
				l.close()
				return lost, errors.New("connection lost")
			case answer.ID != l.id:
			case answer.Type == "ack":
				return accepted, nil
			default:
				return refused, fmt.Errorf("error %s", answer.Code)
			}
		case <-timer.C:
			l.close()
			return lost, errors.New("timeout")
		case <-ctx.Done():
			return lost, errors.New("interrupted")
		}
	}
}

func (l *socketLane) close() {
	if l.socket != nil {
		l.socket.close()
		l.socket = nil
	}
}

func (s *socket) close() {
	// The close frame is optional: the socket may be closed already, or full.
	soon, cancel := context.WithTimeout(context.Background(), closeFrameWithin)
	defer cancel()
	_ = s.write(soon, frame.OpClose, frame.AppendCloseBody(nil, frame.CodeNormal, ""))
	s.conn.Close()
}

// write sends one frame.
func (s *socket) write(ctx context.Context, op frame.OpCode, payload []byte) error {
	return s.send(ctx, frame.AppendMasked(nil, op, true, newMask(), payload))
}

// send writes whole frames within publishTimeout, or until ctx ends, so a server that does not read
// cannot delay a stop.
func (s *socket) send(ctx context.Context, frames []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cut {
		return net.ErrClosed
	}
	if err := s.conn.SetWriteDeadline(time.Now().Add(publishTimeout)); err != nil {
		return err
	}
	// A deadline that cannot be set is one of a connection that is closed, on which nothing waits.
	stop := context.AfterFunc(ctx, func() { _ = s.conn.SetWriteDeadline(time.Now()) })
	defer stop()
	_, err := s.conn.Write(frames)
	s.cut = err != nil
	return err
}

func newMask() (mask [4]byte) {
	binary.LittleEndian.PutUint32(mask[:], rand.Uint32())
	return mask
}

// hear reads to the end of the connection.
func (s *socket) hear(early []byte, answers bool) {
	defer close(s.answers)
	defer s.conn.Close()
	source := io.MultiReader(bytes.NewReader(early), s.conn)
	reader, options := frame.Reader{}, frame.Options{Client: true, MessageBytesMax: SizeMax * 2}
	buffer := make([]byte, 32<<10)
	for {
		n, err := source.Read(buffer)
		for rest := buffer[:n]; ; {
			message, left, bad := reader.Next(&options, rest)
			if bad != nil {
				return
			}
			if !message.Complete {
				break
			}
			rest = left
			if !s.heard(message, answers) {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// heard takes one message; false ends the connection.
func (s *socket) heard(m frame.Message, answers bool) bool {
	switch {
	case m.Op == frame.OpPing:
		return s.write(context.Background(), frame.OpPong, m.Payload) == nil
	case m.Op == frame.OpClose:
		return false
	case m.Op == frame.OpPong || !answers:
		return true
	}
	var answer commandAnswer
	if json.Unmarshal(m.Payload, &answer) != nil || answer.Type != "ack" && answer.Type != "error" {
		return true
	}
	select {
	case s.answers <- answer:
		return true
	default:
		return false // nobody waits for so many answers
	}
}
