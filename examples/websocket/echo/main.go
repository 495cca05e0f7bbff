// Echo sends every message back to its sender: the first example of ws.
//
//	go run ./examples/websocket/echo
package main

import (
	"log"

	"c100k/websocket"
)

func main() {
	wss := websocket.New(websocket.Options{})
	wss.OnMessage(func(c *websocket.Conn, m websocket.Message) { c.Send(m) })
	log.Fatal(wss.ListenAndServe("127.0.0.1:8080"))
}
