// How a Go program uses the package.

package server_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"c100k/broadcast"
	"c100k/server"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
)

// A node of a program's own: topics that begin with "news." are open to everybody, and the
// program's handler answers every other request on the same port.
func ExampleServer() {
	ready := make(chan string, 1)
	node, err := server.New(server.Config{
		Listen:       "127.0.0.1:0",
		PublicTopics: []string{"news.*"},
		Handler:      http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello over HTTP") }),
		OnListen:     func(public, _ net.Addr) { ready <- public.String() },
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	served := make(chan error, 1)
	go func() { served <- node.ListenAndServe(ctx) }()

	conn, _, _, err := ws.Dial(ctx, "ws://"+<-ready+"/ws?topic=news.sports")
	if err != nil {
		fmt.Println(err)
		return
	}
	result, err := node.Publish("news.sports", broadcast.Text, []byte("1:0"))
	if err != nil {
		fmt.Println(err)
		return
	}
	text, err := wsutil.ReadServerText(conn)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("matched", result.Matched, "got", string(text))
	conn.Close()

	cancel() // drains, and ends ListenAndServe
	fmt.Println("served:", <-served)
	// Output:
	// matched 1 got 1:0
	// served: <nil>
}

// The node's streams in a server that is there already. Publish reaches everybody who has connected
// through it.
func ExampleServer_Handler() {
	node, err := server.New(server.Config{PublicTopics: []string{"clock"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer node.Close()
	mux := http.NewServeMux()
	mux.Handle("/ws", node.Handler())
	mux.Handle("/sse", node.Handler())
	theirs := httptest.NewServer(mux)
	defer theirs.Close()

	conn, _, _, err := ws.Dial(context.Background(), strings.Replace(theirs.URL, "http", "ws", 1)+"/ws?topic=clock")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer conn.Close()
	if _, err := node.Publish("clock", broadcast.JSON, []byte(`{"hour":12}`)); err != nil {
		fmt.Println(err)
		return
	}
	text, err := wsutil.ReadServerText(conn)
	fmt.Println(string(text), err)
	// Output: {"hour":12} <nil>
}

// Publishing to a topic that nobody listens to is no error.
func ExampleServer_Publish() {
	node, err := server.New(server.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer node.Close()
	result, err := node.Publish("news", broadcast.Text, []byte("hello"))
	fmt.Println(result.Matched, err)
	_, err = node.Publish("no\nsuch topic", broadcast.Text, []byte("hello"))
	fmt.Println(err != nil)
	// Output:
	// 0 <nil>
	// true
}
