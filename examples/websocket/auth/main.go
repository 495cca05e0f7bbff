// Auth lets in who has logged in: a page sets a cookie, and the handshake waits until the session
// has been looked up, off the event loop.
//
//	go run ./examples/websocket/auth
//	curl -i -d name=Ann http://127.0.0.1:8080/login
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"log"
	"net/http"
	"sync"
	"time"

	"c100k/websocket"
)

// sessions is who has logged in. A real one is a database.
type sessions struct {
	mu    sync.Mutex
	names map[string]string
}

var errNobody = errors.New("log in first")

func (s *sessions) find(ctx context.Context, id string) (string, error) {
	select {
	case <-time.After(20 * time.Millisecond): // as a database takes
	case <-ctx.Done():
		return "", ctx.Err()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	name, ok := s.names[id]
	if !ok {
		return "", errNobody
	}
	return name, nil
}

func (s *sessions) login(w http.ResponseWriter, r *http.Request) {
	id := rand.Text()
	s.mu.Lock()
	s.names[id] = r.FormValue("name")
	s.mu.Unlock()
	http.SetCookie(w, &http.Cookie{Name: "session", Value: id, HttpOnly: true, SameSite: http.SameSiteStrictMode, Path: "/"})
}

func main() {
	users := &sessions{names: map[string]string{}}
	wss := websocket.New(websocket.Options{})
	wss.OnUpgrade(func(u *websocket.Upgrade) {
		id := u.Request().Cookie("session")
		u.Wait()
		go func() {
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			name, err := users.find(ctx, id)
			if err != nil {
				err = u.Refuse(http.StatusUnauthorized, err.Error()+"\n")
			} else {
				u.SetData(name)
				err = u.Accept()
			}
			if err != nil {
				log.Print(err)
			}
		}()
	})
	wss.OnConnection(func(c *websocket.Conn, _ *websocket.Request) { c.SendText("hello " + c.Data().(string)) })
	http.Handle("/ws", wss)
	http.HandleFunc("POST /login", users.login)
	log.Fatal(http.ListenAndServe("127.0.0.1:8080", nil))
}
