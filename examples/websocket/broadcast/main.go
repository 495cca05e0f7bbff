// Broadcast sends every message to all other connections: the second example of ws. There is
// ordinary HTTP on the same port, as an Express application would have.
//
//	go run ./examples/websocket/broadcast
package main

import (
	"fmt"
	"log"
	"net/http"

	"c100k/websocket"
)

func main() {
	wss := websocket.New(websocket.Options{})
	wss.OnConnection(func(c *websocket.Conn, _ *websocket.Request) {
		if err := c.Subscribe("lobby"); err != nil {
			c.Close(1011, err.Error())
		}
	})
	wss.OnMessage(func(c *websocket.Conn, m websocket.Message) {
		if _, err := c.Publish("lobby", m); err != nil {
			log.Print(err)
		}
	})
	mux := http.NewServeMux()
	mux.Handle("/ws", wss)
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, "%d connections\n", wss.Conns())
	})
	log.Fatal(http.ListenAndServe("127.0.0.1:8080", mux))
}
