// Command gobwas is the rival on gobwas/ws with a goroutine for each connection: the library as it
// is used where goroutines are cheap enough.
//
//   - the handshake runs over the bytes in memory ("zero-copy upgrade"), without net/http;
//   - the library's Header, Cipher and CheckHeader over the bytes of a read, not wsutil's readers
//     and writers, which allocate for each message;
//   - a goroutine waits without a buffer, and takes one of 64 KiB from a pool when there is
//     something to read: the library leaves buffers to its users so that they can do this;
//   - all frames of a read are answered by one write, as the authors' own servers gather what waits
//     for a connection; --each writes every message by itself, as the shortest examples do;
//   - a broadcast is encoded once and written by the sender's goroutine straight to each socket;
//     only a reader that lags has a backlog, and a goroutine for it. One that does not take its
//     echoes is not read;
//   - no compression and no check of UTF-8, which the library leaves to its users.
//
// The parts that two or three rivals share are in package wire.
package main

import (
	"net"

	"c100k-peers/peer"
	"c100k-peers/wire"
)

var room wire.Room

func main() {
	o := peer.Parse()
	l, err := o.Listen()
	peer.Check(err)
	peer.Ready(l.Addr())
	go peer.Accept(l, func(conn *net.TCPConn) { go serve(conn) })
	o.AwaitTerm()
}

func serve(conn *net.TCPConn) {
	defer conn.Close()
	c, err := wire.NewConn(conn, &room)
	if err != nil {
		return
	}
	for c.Turn(true) {
		c.AwaitDrained()
	}
	c.AwaitDrained() // the close frame may wait
}
