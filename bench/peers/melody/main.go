// Command melody is the rival on olahol/melody, which is gorilla/websocket with the hub, the
// channels and the goroutines in the library.
//
//   - one Melody for each path: Broadcast goes to all sessions of one. A session has two goroutines
//     and a channel of 256 messages, by default;
//   - whose channel is full loses the message and learns nothing of it, which is melody's way; a
//     reader that takes nothing for WriteWait is closed;
//   - an echo goes through the session's channel, as every Write does;
//   - a write buffer pool in the Upgrader, which melody leaves to be set;
//   - its pings and pong deadlines are put off for a day: nobody in the bench has heartbeats.
package main

import (
	"net/http"
	"sync"
	"time"

	"c100k-peers/peer"

	"github.com/olahol/melody"
)

// heartbeat is longer than any run.
const heartbeat = 24 * time.Hour

func main() {
	o := peer.Parse()
	echo, room := newMelody(), newMelody()
	echo.HandleMessage(func(s *melody.Session, p []byte) { s.Write(p) })
	echo.HandleMessageBinary(func(s *melody.Session, p []byte) { s.WriteBinary(p) })
	room.HandleMessage(func(_ *melody.Session, p []byte) { room.Broadcast(p) })
	room.HandleMessageBinary(func(_ *melody.Session, p []byte) { room.BroadcastBinary(p) })
	http.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) { echo.HandleRequest(w, r) })
	http.HandleFunc("/broadcast", func(w http.ResponseWriter, r *http.Request) { room.HandleRequest(w, r) })
	o.Serve(http.DefaultServeMux)
}

func newMelody() *melody.Melody {
	m := melody.New()
	m.Config.MaxMessageSize = peer.MessageMax
	m.Config.MessageBufferSize = peer.LagMessagesMax
	m.Config.WriteWait = peer.WriteWait
	m.Config.PingPeriod = heartbeat
	m.Config.PongWait = 2 * heartbeat
	m.Upgrader.WriteBufferPool = new(sync.Pool)
	return m
}
