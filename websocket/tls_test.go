package websocket_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"c100k/server"
	"c100k/websocket"
)

// On a node with TLS the handlers run below it: messages of many sizes come back, what is published
// arrives, and the request says that it is secure.
func TestOverTLS(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	lender := httptest.NewTLSServer(nil) // of its certificate
	defer lender.Close()
	roots := x509.NewCertPool()
	roots.AddCert(lender.Certificate())
	wss := websocket.New(websocket.Options{MaxMessage: 1 << 20, Compress: true})
	wss.OnConnection(func(c *websocket.Conn, r *websocket.Request) {
		if err := c.Subscribe("news"); err != nil {
			t.Error(err)
		}
		c.SendText(fmt.Sprint("secure ", r.Secure()))
	})
	wss.OnMessage(func(c *websocket.Conn, m websocket.Message) { c.Send(m) })
	s, err := server.New(server.Config{
		WebSockets: map[string]*websocket.Server{"/chat": wss}, MaxConns: 100,
		TLS: &tls.Config{Certificates: lender.TLS.Certificates},
	})
	if err != nil {
		t.Fatal(err)
	}
	ln := listen(t)
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ln) }()
	defer func() {
		s.Close()
		<-ended
	}()
	for _, compress := range []bool{false, true} {
		c := dial(ctx, t, "wss://"+ln.Addr().String()+"/chat", &websocket.DialOptions{
			TLS: &tls.Config{RootCAs: roots, ServerName: "example.com"}, Compress: compress, MaxMessage: 1 << 20,
		})
		expect(ctx, t, c, "secure true")
		for _, size := range []int{0, 1, 126, 16 << 10, 70_000, 1 << 20} {
			say(ctx, t, c, strings.Repeat("x", size))
			expect(ctx, t, c, strings.Repeat("x", size))
		}
		if _, err := wss.Publish("news", websocket.TextMessage("published")); err != nil {
			t.Error(err)
		}
		expect(ctx, t, c, "published")
		if err := c.Close(1000, ""); err != nil {
			t.Error(err)
		}
	}
}
