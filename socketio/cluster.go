// What one server says to the others.

package socketio

import "errors"

// ErrAlone is returned by ServerSideEmit: there is no other server that an event could reach.
var ErrAlone = errors.New("socketio: there are no other servers to emit to")

// ServerSideEmit sends an event to the namespace's other servers, not to clients, and not to this
// one. A Server is always alone, as one of Node's is with the adapter in memory: the error is
// ErrAlone, or says what is wrong with the arguments. There is no listener for such events, because
// none could come.
func (nsp *Namespace) ServerSideEmit(event string, args ...any) error {
	args, _ = splitAck(args)
	if _, err := encodeEvent(event, args); err != nil {
		return err
	}
	return ErrAlone
}
