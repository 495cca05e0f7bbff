// What a debug build says of programs that are wrong. The methods are called where it finds out.

//go:build c100kdebug

package websocket

import (
	"strings"
	"testing"

	"c100k/frame"
)

// A handler that keeps the data of a message finds it overwritten when it has returned.
func TestDebugPoisons(t *testing.T) {
	var kept []byte
	st := newStage(t, 0, Options{}, func(st *stage) {
		st.server.OnMessage(func(_ *Conn, m Message) { kept = m.Data })
	})
	p := st.openConn(t)
	st.says(p, masked(frame.OpText, "for the call"))
	if string(kept) == "for the call" || len(kept) != len("for the call") {
		t.Errorf("the handler has kept %q", kept)
	}
}

// A method of Conn on another goroutine panics with its name.
func TestDebugNamesTheMethod(t *testing.T) {
	var c *Conn
	st := newStage(t, 0, Options{}, func(st *stage) {
		st.server.OnConnection(func(conn *Conn, _ *Request) { c = conn })
	})
	st.openConn(t)
	for method, call := range map[string]func(){
		"Send": func() { c.Send(Message{}) }, "SendText": func() { c.SendText("") }, "SendBinary": func() { c.SendBinary(nil) },
		"SendPrepared": func() { c.SendPrepared(Prepare(Message{})) }, "SendFragment": func() { c.SendFragment(Text, nil, true) },
		"Ping": func() { c.Ping(nil) }, "Pong": func() { c.Pong(nil) }, "Close": func() { c.Close(1000, "") }, "Terminate": c.Terminate,
		"Pause": c.Pause, "Resume": c.Resume, "Subscribe": func() { _ = c.Subscribe("a") }, "Unsubscribe": func() { c.Unsubscribe("a") },
		"Topics": func() { c.Topics() }, "Publish": func() { _, _ = c.Publish("a", Message{}) }, "Data": func() { c.Data() }, "SetData": func() { c.SetData(1) },
		"Buffered": func() { c.Buffered() }, "Closed": func() { c.Closed() }, "Subprotocol": func() { c.Subprotocol() }, "Go": func() { c.Go(nil) },
	} {
		said := make(chan any, 1)
		go func() {
			defer func() { said <- recover() }()
			call()
		}()
		if text, _ := (<-said).(string); !strings.Contains(text, "Conn."+method+" was called outside") {
			t.Errorf("%s: the panic is %q", method, text)
		}
	}
	if c.ID() == 0 { // which any goroutine may call
		t.Error("no ID")
	}
}
