// Listeners: a handler and the event it is for.

package socketio

import "fmt"

// listener is a handler of one event.
type listener struct {
	event string
	once  bool
	handler
}

// ownEvents are events of the server side, each with the method that is for it.
var ownEvents = map[string]string{
	"connection": "OnConnection of the namespace", "connect": "OnConnection of the namespace", "disconnect": "Socket.OnDisconnect",
	"disconnecting": "Socket.OnDisconnecting", "error": "Socket.OnError", "connect_error": "a middleware", "newListener": "nothing",
	"removeListener": "nothing",
}

// newListener panics where the program has made a mistake that shows at once: the name of an event
// that no client can send, or a function that cannot be a handler.
func newListener(event string, fn any, once bool) listener {
	if method, own := ownEvents[event]; own {
		panic(fmt.Sprintf("socketio: no client can send an event %q; what is for it is %s", event, method))
	}
	h := newHandler(fmt.Sprintf("event %q", event), fn)
	if h.sig.failure {
		panic(fmt.Sprintf("socketio: handler of event %q is a %T: an error comes first only in the function that gets an acknowledgement", event, fn))
	}
	return listener{event: event, once: once, handler: h}
}
