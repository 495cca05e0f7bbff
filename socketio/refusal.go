// How a middleware refuses.

package socketio

import (
	"encoding/json"
	"errors"
)

// Refusal is an error of a middleware that the client is told: the message, and data if there is
// any. Another error is told by its text.
type Refusal struct {
	Message string
	Data    any // nil for none; else encoding/json has to take it
}

// Error is the message.
func (r *Refusal) Error() string { return r.Message }

// Refuse is a Refusal.
func Refuse(message string, data any) error { return &Refusal{Message: message, Data: data} }

// told is what a client is told of an error: a message, and data as JSON or nil.
func told(err error) (message string, data []byte) {
	var r *Refusal
	if errors.As(err, &r) && r.Data != nil {
		if p, err := json.Marshal(r.Data); err == nil {
			data = p
		}
	}
	return validText(err.Error()), data
}

// The refusals of the server itself.
var (
	errInvalidNamespace = &Refusal{Message: "Invalid namespace"}
	errNamespaces       = &Refusal{Message: "Too many namespaces"}
)
