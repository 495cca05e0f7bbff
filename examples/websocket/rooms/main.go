// Rooms is a chat with rooms: what gorilla's chat example does with a hub and two goroutines for
// each connection. "/join NAME" and "/leave NAME" change the rooms, anything else is said in all of
// them.
//
//	go run ./examples/websocket/rooms
package main

import (
	"log"
	"strings"

	"c100k/websocket"
)

const lobby = "lobby"

func main() {
	chat := websocket.New(websocket.Options{MaxMessage: 4 << 10, Rate: 10, TopicsPerConn: 20})
	chat.OnConnection(func(c *websocket.Conn, r *websocket.Request) {
		name := r.Query().Get("name")
		if name == "" {
			name = "somebody"
		}
		c.SetData(name)
		join(c, lobby)
	})
	chat.OnMessage(func(c *websocket.Conn, m websocket.Message) {
		verb, room, _ := strings.Cut(string(m.Data), " ")
		switch verb {
		case "/join":
			join(c, room)
		case "/leave":
			c.Unsubscribe(room)
		default:
			for _, room := range c.Topics() {
				line := room + ": " + c.Data().(string) + ": " + string(m.Data)
				if _, err := chat.Publish(room, websocket.TextMessage(line)); err != nil {
					log.Print(err)
				}
			}
		}
	})
	log.Fatal(chat.ListenAndServe("127.0.0.1:8080"))
}

func join(c *websocket.Conn, room string) {
	if err := c.Subscribe(room); err != nil {
		c.SendText("cannot join: " + err.Error())
	}
}
