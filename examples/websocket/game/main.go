// Game sends its state to all players 20 times a second. A player sends "x,y" to move.
//
//	go run ./examples/websocket/game
//	c100k load ws://127.0.0.1:8080/ --mode subscribe --protocol raw --conns 10000 --for 10s
package main

import (
	"encoding/json"
	"fmt"
	"log"
	"sync"
	"time"

	"c100k/websocket"
)

// world is where the players are. Handlers of different loops use it at the same time.
type world struct {
	mu      sync.Mutex
	players map[websocket.ID][2]int
	moved   map[string][2]int // since the last snapshot
}

func (w *world) move(id websocket.ID, x, y int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.players[id] = [2]int{x, y}
	w.moved[id.String()] = [2]int{x, y}
}

func (w *world) leave(id websocket.ID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.players, id)
}

// snapshot is who has moved since the last one, as JSON.
func (w *world) snapshot() ([]byte, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	b, err := json.Marshal(map[string]any{"players": len(w.players), "moved": w.moved})
	clear(w.moved)
	return b, err
}

func main() {
	w := &world{players: map[websocket.ID][2]int{}, moved: map[string][2]int{}}
	// A player with a slow line gets the newest state, not all of the past.
	game := websocket.New(websocket.Options{SlowConsumer: "drop-oldest", Outbox: 64 << 10, MaxMessage: 64, MaxConns: 15_000})
	game.OnConnection(func(c *websocket.Conn, _ *websocket.Request) { w.move(c.ID(), 0, 0) })
	game.OnMessage(func(c *websocket.Conn, m websocket.Message) {
		var x, y int
		if _, err := fmt.Sscanf(string(m.Data), "%d,%d", &x, &y); err != nil {
			c.Close(1008, "send x,y")
			return
		}
		w.move(c.ID(), x, y)
	})
	game.OnClose(func(c *websocket.Conn, _ int, _ string) { w.leave(c.ID()) })
	go func() {
		for range time.Tick(50 * time.Millisecond) {
			state, err := w.snapshot()
			if err != nil {
				log.Print(err)
				continue
			}
			if _, err := game.Broadcast(websocket.Message{Data: state}); err != nil {
				log.Print(err)
			}
		}
	}()
	log.Fatal(game.ListenAndServe("127.0.0.1:8080"))
}
