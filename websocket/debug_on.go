// The checks of a debug build: methods that belong to the loop panic elsewhere, and the data of a
// message is overwritten when its handler has returned.

//go:build c100kdebug

package websocket

import "bytes"

// check panics where a method that belongs to the loop is called on another goroutine.
func (c *Conn) check(method string) {
	if loop := c.part.watch.goroutine.Load(); loop != 0 && loop != goroutineID() {
		panic("websocket: Conn." + method + " was called outside of the connection's event loop; use Server.Do, or Conn.Go and its Async")
	}
}

// poison overwrites the data of a message that a handler must not have kept.
func poison(p []byte) { copy(p, bytes.Repeat([]byte{0xdb}, len(p))) }
