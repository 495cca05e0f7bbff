// Command nbio is the rival on lesismal/nbio, an event-driven net/http and WebSocket.
//
//   - IOModNonBlocking: every connection is served by the pollers, which is what the library is
//     for. IOModMixed would give the first 10,000 connections a goroutine each;
//   - --loops pollers, and ServerExecutor on the poller's goroutine: the handlers here never block,
//     so a pool of goroutines between would only cost;
//   - payload buffers go back to their pool behind each handler (ReleaseWebsocketPayload), but not
//     with TLS: then messages of a burst were changed by those behind them;
//   - a broadcast is WriteMessage to each connection, as in its examples: there is no way to encode
//     it once. A connection that owes more than MaxWriteBufferSize is closed by the library;
//   - with --cert the TLS of lesismal/llib, crypto/tls changed so that it does not block;
//   - no keepalive deadline and no compression. The deadline of a request is far off, since now and
//     then one outlives the upgrade: with that of the other rivals, one or two of 15,000
//     connections were closed.
package main

import (
	"net"
	"net/http"
	"time"

	"c100k-peers/peer"

	"github.com/lesismal/llib/std/crypto/tls"
	"github.com/lesismal/nbio/logging"
	"github.com/lesismal/nbio/nbhttp"
	"github.com/lesismal/nbio/nbhttp/websocket"
)

func main() {
	var o peer.Options
	o.TLSFlags()
	o.Parse()
	logging.SetLevel(logging.LevelError)
	var addr net.Addr
	config := nbhttp.Config{
		Network: "tcp",
		Listen: func(string, string) (net.Listener, error) {
			l, err := o.Listen()
			if err == nil {
				addr = l.Addr()
			}
			return l, err
		},
		NPoller:                      o.Loops,
		IOMod:                        nbhttp.IOModNonBlocking,
		ServerExecutor:               func(f func()) { f() },
		MaxWriteBufferSize:           peer.LagBytesMax,
		MaxWebsocketFramePayloadSize: peer.MessageMax, // a larger message would go out in several frames
		ReleaseWebsocketPayload:      o.Cert == "",
		KeepaliveTime:                10 * time.Minute,
	}
	if o.Cert != "" {
		pair, err := tls.LoadX509KeyPair(o.Cert, o.Key)
		peer.Check(err)
		config.AddrsTLS = []string{o.Addr}
		config.TLSConfig = &tls.Config{Certificates: []tls.Certificate{pair}, NextProtos: []string{"http/1.1"}}
	} else {
		config.Addrs = []string{o.Addr}
	}
	engine := nbhttp.NewEngine(config)
	mux := http.NewServeMux()
	handle(mux, "/echo", newUpgrader(engine, echo))
	var room peer.Members[*websocket.Conn]
	u := newUpgrader(engine, func(_ *websocket.Conn, kind websocket.MessageType, p []byte) {
		room.Each(func(conn *websocket.Conn) { conn.WriteMessage(kind, p) })
	})
	u.OnOpen(room.Add)
	u.OnClose(func(conn *websocket.Conn, _ error) { room.Remove(conn) })
	handle(mux, "/broadcast", u)
	engine.Handler = mux
	peer.Check(engine.Start())
	peer.Ready(addr)
	o.AwaitTerm()
}

func newUpgrader(engine *nbhttp.Engine, message func(*websocket.Conn, websocket.MessageType, []byte)) *websocket.Upgrader {
	u := websocket.NewUpgrader()
	u.Engine = engine
	u.KeepaliveTime = 0
	u.MessageLengthLimit = peer.MessageMax
	u.CheckOrigin = func(*http.Request) bool { return true }
	u.OnMessage(message)
	return u
}

func handle(mux *http.ServeMux, path string, u *websocket.Upgrader) {
	mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
		u.Upgrade(w, r, nil) // on failure it has answered
	})
}

func echo(conn *websocket.Conn, kind websocket.MessageType, p []byte) {
	conn.WriteMessage(kind, p)
}
