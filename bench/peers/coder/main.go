// Command coder is the rival on coder/websocket, built as its chat example is:
//
//   - for each member a reader goroutine and a writer goroutine with a bounded channel; who does
//     not keep up is closed. The example's channel has room for 16 messages, ours for as many as
//     gorilla's, so that bursts lose nobody;
//   - Write, which makes one frame of a message. The echo of the library's own examples copies a
//     Reader to a Writer and ends every message with an empty frame of its own: twice the writes;
//   - contexts without a deadline: the library then needs no timer for each call. A reader that
//     stands still is let go of by its full channel, or by the kernel (peer.Options.Listen);
//   - an echo is read into a pooled buffer;
//   - compression is off by default, and buffers are those of net/http.
package main

import (
	"bytes"
	"context"
	"net/http"
	"sync"

	"c100k-peers/peer"

	"github.com/coder/websocket"
)

var background = context.Background()

func main() {
	o := peer.Parse()
	r := &room{members: make(map[*member]struct{})}
	http.HandleFunc("/echo", func(w http.ResponseWriter, req *http.Request) {
		if conn := accept(w, req); conn != nil {
			echo(conn)
		}
	})
	http.HandleFunc("/broadcast", func(w http.ResponseWriter, req *http.Request) {
		if conn := accept(w, req); conn != nil {
			r.serve(conn)
		}
	})
	o.Serve(http.DefaultServeMux)
}

// accept returns nil when the request was refused, and then it has been answered.
func accept(w http.ResponseWriter, r *http.Request) *websocket.Conn {
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
	if err != nil {
		return nil
	}
	conn.SetReadLimit(peer.MessageMax)
	return conn
}

var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

func echo(conn *websocket.Conn) {
	defer conn.CloseNow()
	for echoOne(conn) == nil {
	}
}

func echoOne(conn *websocket.Conn) error {
	kind, r, err := conn.Reader(background)
	if err != nil {
		return err
	}
	b := buffers.Get().(*bytes.Buffer) // only now: a connection that waits has none
	defer buffers.Put(b)
	b.Reset()
	if _, err := b.ReadFrom(r); err != nil {
		return err
	}
	return conn.Write(background, kind, b.Bytes())
}
