// Command gorilla is the rival on gorilla/websocket, built as its own chat example is, and with
// what its documentation advises for many connections:
//
//   - a hub goroutine that alone knows the members, and for each member a reader and a writer
//     goroutine with a bounded channel between hub and writer; who is not taken off the channel in
//     time is closed, as the example does it;
//   - a broadcast is encoded once (websocket.PreparedMessage). The example joins waiting messages
//     into one frame; here each stays a message of its own, because clients count them;
//   - buffers of 1 KiB as in the example, the one for writing from a pool ("a modest number of
//     writes over a large number of connections");
//   - the handler starts the goroutines and returns, so that what net/http had for the connection
//     can be collected;
//   - an echo is read into a pooled buffer: ReadMessage would grow a new one for every message;
//   - TLS with --cert is that of net/http;
//   - compression with --compress only: a prepared message is then compressed once; and no pings of
//     its own: nobody in the bench sends any.
package main

import (
	"bytes"
	"net/http"
	"sync"
	"time"

	"c100k-peers/peer"

	"github.com/gorilla/websocket"
)

var upgrader = websocket.Upgrader{
	ReadBufferSize:  1024,
	WriteBufferSize: 1024,
	WriteBufferPool: new(sync.Pool),
	CheckOrigin:     func(*http.Request) bool { return true },
}

func main() {
	var o peer.Options
	o.TLSFlags()
	o.Parse()
	upgrader.EnableCompression = o.Compress
	h := newHub()
	go h.run()
	http.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) {
		if conn := upgrade(w, r); conn != nil {
			go echo(conn)
		}
	})
	http.HandleFunc("/broadcast", func(w http.ResponseWriter, r *http.Request) {
		if conn := upgrade(w, r); conn != nil {
			m := &member{conn: conn, send: make(chan *websocket.PreparedMessage, peer.LagMessagesMax)}
			h.join <- m
			go m.write()
			go m.read(h)
		}
	})
	o.Serve(http.DefaultServeMux)
}

// upgrade returns nil when the request was refused, and then it has been answered.
func upgrade(w http.ResponseWriter, r *http.Request) *websocket.Conn {
	conn, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return nil
	}
	conn.SetReadLimit(peer.MessageMax)
	return conn
}

var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

func echo(conn *websocket.Conn) {
	defer conn.Close()
	for echoOne(conn) == nil {
	}
}

func echoOne(conn *websocket.Conn) error {
	kind, r, err := conn.NextReader()
	if err != nil {
		return err
	}
	b := buffers.Get().(*bytes.Buffer) // only now: a connection that waits has none
	defer buffers.Put(b)
	b.Reset()
	if _, err := b.ReadFrom(r); err != nil {
		return err
	}
	conn.SetWriteDeadline(time.Now().Add(peer.WriteWait))
	return conn.WriteMessage(kind, b.Bytes())
}
