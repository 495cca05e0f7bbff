// Command gws is the rival on lxzan/gws, by its README:
//
//   - its own server, which reads the request head into the buffer that the connection goes on
//     with, and a fresh goroutine for ReadLoop, so that the stack of the handshake is not kept; with
//     --cert a listener of crypto/tls around the socket, as its RunTLS has;
//   - Broadcaster: the frame is encoded once, each connection's write queue has one task for it,
//     and a goroutine runs a queue only while there is something in it. The queues have no bound of
//     their own; a reader that stands still is reset by the kernel (peer.Options.Listen), and its
//     queue goes with it;
//   - messages one after the other (ParallelEnabled off: replies must keep their order), no check
//     of UTF-8, as by default; compression with --compress only, without context takeover, as by
//     default.
package main

import (
	"bufio"
	"crypto/tls"
	"net"
	"net/http"
	"time"

	"c100k-peers/peer"

	"github.com/lxzan/gws"
)

func main() {
	var o peer.Options
	o.TLSFlags()
	o.Parse()
	l, err := o.Listen()
	peer.Check(err)
	addr := l.Addr()
	if o.Cert != "" {
		pair, err := tls.LoadX509KeyPair(o.Cert, o.Key)
		peer.Check(err)
		l = tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{pair}, NextProtos: []string{"http/1.1"}})
	}
	option := &gws.ServerOption{ReadMaxPayloadSize: peer.MessageMax, PermessageDeflate: gws.PermessageDeflate{Enabled: o.Compress}}
	server := gws.NewServer(echo{}, option)
	rooms := gws.NewUpgrader(new(room), option)
	server.OnError = func(conn net.Conn, _ error) {
		if conn != nil { // nil: accepting failed
			conn.Close()
		}
	}
	server.OnRequest = func(conn net.Conn, br *bufio.Reader, r *http.Request) {
		upgrader := server.GetUpgrader()
		switch r.URL.Path {
		case "/broadcast":
			upgrader = rooms
		case "/echo":
		default:
			conn.Write([]byte("HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"))
			conn.Close()
			return
		}
		if socket, err := upgrader.UpgradeFromConn(conn, br, r); err == nil {
			go socket.ReadLoop()
		}
	}
	peer.Ready(addr)
	go func() { peer.Check(server.RunListener(headListener{l})) }()
	o.AwaitTerm()
}

// headListener gives a connection its time for the request head. The upgrade takes the deadline
// away.
type headListener struct{ net.Listener }

func (l headListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err == nil {
		conn.SetReadDeadline(time.Now().Add(peer.HeadWait))
	}
	return conn, err
}

// echo is /echo.
type echo struct{ gws.BuiltinEventHandler }

// OnPing answers with what the ping said. The built-in answer is empty.
func (echo) OnPing(socket *gws.Conn, payload []byte) { socket.WritePong(payload) }

// OnMessage sends a message back.
func (echo) OnMessage(socket *gws.Conn, message *gws.Message) {
	defer message.Close()
	socket.WriteMessage(message.Opcode, message.Bytes())
}

// room is /broadcast.
type room struct {
	gws.BuiltinEventHandler
	members peer.Members[*gws.Conn]
}

// OnOpen adds a member.
func (r *room) OnOpen(socket *gws.Conn) { r.members.Add(socket) }

// OnClose removes a member.
func (r *room) OnClose(socket *gws.Conn, _ error) { r.members.Remove(socket) }

// OnPing answers with what the ping said.
func (r *room) OnPing(socket *gws.Conn, payload []byte) { socket.WritePong(payload) }

// OnMessage sends a message to all.
func (r *room) OnMessage(_ *gws.Conn, message *gws.Message) {
	defer message.Close() // the Broadcaster has its own copy by then
	b := gws.NewBroadcaster(message.Opcode, message.Bytes())
	defer b.Close()
	r.members.Each(func(socket *gws.Conn) { b.Broadcast(socket) })
}
