// Tcpproxy connects WebSockets to a TCP service, byte for byte, with back-pressure both ways.
//
//	go run ./examples/websocket/tcpproxy 127.0.0.1:6379
package main

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"os"
	"time"

	"c100k/websocket"
)

const (
	// bufferedMax is how many bytes may wait for the client before the service is not read.
	bufferedMax = 256 << 10
	dialTimeout = 5 * time.Second
)

// link is one connection's way to the service. Functions of Conn.Go use it, one after the other.
type link struct {
	service net.Conn
	drained chan struct{} // has a value when the client has caught up
}

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: tcpproxy HOST:PORT")
	}
	wss := websocket.New(websocket.Options{Outbox: 4 << 20})
	wss.OnConnection(func(c *websocket.Conn, _ *websocket.Request) {
		l := &link{drained: make(chan struct{}, 1)}
		c.SetData(l)
		c.Go(func(ctx context.Context, a *websocket.Async) { l.open(ctx, a, os.Args[1]) })
	})
	// The functions of Go run in order. While many wait, the client is not read: so the service
	// holds it back.
	wss.OnMessage(func(c *websocket.Conn, m websocket.Message) {
		l, p := c.Data().(*link), append([]byte(nil), m.Data...)
		if !c.Go(func(_ context.Context, a *websocket.Async) { l.write(a, p) }) {
			c.Close(1008, "too many messages at once")
		}
	})
	wss.OnDrain(func(c *websocket.Conn) {
		select {
		case c.Data().(*link).drained <- struct{}{}:
		default:
		}
	})
	log.Fatal(wss.ListenAndServe("127.0.0.1:8080"))
}

// open connects to the service. ctx ends with the client's connection.
func (l *link) open(ctx context.Context, a *websocket.Async, address string) {
	d := net.Dialer{Timeout: dialTimeout}
	service, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		a.Close(1014, "the service cannot be reached")
		return
	}
	l.service = service
	context.AfterFunc(ctx, func() { service.Close() })
	go l.read(ctx, a)
}

// write carries what the client has sent.
func (l *link) write(a *websocket.Async, p []byte) {
	if l.service == nil {
		return // it is being closed
	}
	if _, err := l.service.Write(p); err != nil {
		a.Close(1014, "the service has ended")
	}
}

// read carries what the service sends.
func (l *link) read(ctx context.Context, a *websocket.Async) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := l.service.Read(buffer)
		if n > 0 && !l.send(ctx, a, buffer[:n]) {
			return
		}
		switch {
		case errors.Is(err, io.EOF):
			a.Close(1000, "")
			return
		case err != nil:
			a.Close(1014, "the service has failed")
			return
		}
	}
}

// send sends to the client, and waits while too much is on its way to it. False when it has gone.
func (l *link) send(ctx context.Context, a *websocket.Async, p []byte) bool {
	full := make(chan bool, 1)
	err := a.Do(func(c *websocket.Conn) {
		c.SendBinary(p)
		full <- c.Buffered() > bufferedMax
	})
	if err != nil {
		return false
	}
	select {
	case wait := <-full:
		if !wait {
			return true
		}
	case <-ctx.Done():
		return false
	}
	select {
	case <-l.drained:
		return true
	case <-ctx.Done():
		return false
	}
}
