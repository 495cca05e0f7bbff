package engineio_test

import (
	"net/http"

	"c100k/engineio"
)

func ExampleServer_Handler() {
	server := engineio.New(engineio.Options{})
	defer server.Close()
	server.OnMessage(func(c *engineio.Conn, m engineio.Message) {
		if !m.Binary {
			_ = c.Send("you said " + string(m.Data)) // an error means that the client has left
		}
	})
	mux := http.NewServeMux()
	mux.Handle("/engine.io/", server.Handler())
	// http.ListenAndServe("127.0.0.1:8080", mux)
}
