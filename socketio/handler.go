// Handlers of events: any function whose parameters JSON can be decoded into. Its type is checked
// once, when it is registered.

package socketio

import (
	"encoding/json"
	"fmt"
	"reflect"
	"sync"
)

// Ack acknowledges an event. It may be called on any goroutine. Only the first call has an effect,
// and none has if the client wants no acknowledgement. The error is that of Socket.Emit.
type Ack func(args ...any) error

var (
	argsType   = reflect.TypeFor[Args]()
	ackType    = reflect.TypeFor[Ack]()
	socketType = reflect.TypeFor[*Socket]()
	errorType  = reflect.TypeFor[error]()

	// The most frequent types of acknowledgement functions.
	ackTextType  = reflect.TypeFor[func(string)]()
	ackEmptyType = reflect.TypeFor[func()]()
	ackAnyType   = reflect.TypeFor[func(any)]()
)

// signature describes the parameters of a type of handlers. Immutable.
type signature struct {
	socket   bool           // the first parameter is the *Socket
	failure  bool           // the first parameter is an error: of acknowledgements only
	args     bool           // one parameter takes all arguments as Args
	params   []reflect.Type // one for each argument, that of a variadic last not included
	variadic reflect.Type   // element type of a variadic last parameter, or nil
	ack      reflect.Type   // type of the acknowledgement function, or nil
}

// signatures caches the signature of each type. A program has a bounded number of types of
// handlers.
var signatures sync.Map // reflect.Type to *signature

// handler is a function with its signature.
type handler struct {
	fn  any
	sig *signature
}

// newHandler checks a function. It panics with a text that begins with what if no handler can have
// its type.
func newHandler(what string, fn any) handler {
	t := reflect.TypeOf(fn)
	if known, ok := signatures.Load(t); ok {
		return handler{fn, known.(*signature)}
	}
	sig, why := readSignature(t)
	if why != "" {
		panic(fmt.Sprintf("socketio: handler of %s is a %T: %s", what, fn, why))
	}
	known, _ := signatures.LoadOrStore(t, sig)
	return handler{fn, known.(*signature)}
}

// readSignature returns the signature of functions of type t, or the reason why they cannot be
// handlers.
func readSignature(t reflect.Type) (*signature, string) {
	if t == nil || t.Kind() != reflect.Func {
		return nil, "want a function"
	}
	if t.NumOut() > 0 {
		return nil, "a handler returns nothing"
	}
	sig := &signature{}
	from, to := 0, t.NumIn()
	if to > 0 && t.In(0) == socketType {
		sig.socket, from = true, 1
	}
	if from < to && t.In(from) == errorType {
		sig.failure, from = true, from+1
	}
	if from < to && t.In(to-1).Kind() == reflect.Func {
		if why := readAck(t.In(to - 1)); why != "" {
			return nil, fmt.Sprintf("parameter %d: %s", to, why)
		}
		to--
		sig.ack = t.In(to)
	} else if t.IsVariadic() {
		to--
		sig.variadic = t.In(to).Elem()
		if why := readParam(sig.variadic); why != "" {
			return nil, fmt.Sprintf("parameter %d: %s", to+1, why)
		}
	}
	if to-from == 1 && t.In(from) == argsType && sig.variadic == nil {
		sig.args = true
		return sig, ""
	}
	for i := from; i < to; i++ {
		if why := readParam(t.In(i)); why != "" {
			return nil, fmt.Sprintf("parameter %d: %s", i+1, why)
		}
		sig.params = append(sig.params, t.In(i))
	}
	return sig, ""
}

// readParam returns the reason why no argument can be decoded into a t; "" if one can.
func readParam(t reflect.Type) string {
	switch {
	case t == argsType:
		return "Args takes all arguments, so it must be the only parameter beside the socket and the acknowledgement"
	case t == socketType:
		return "the *Socket must come first"
	case t == errorType:
		return "an error comes first, and only in the function that gets an acknowledgement"
	case t.Kind() == reflect.Func:
		return "the acknowledgement function must come last"
	case !decodable(t):
		return fmt.Sprintf("no JSON becomes a %v; want a string, number, bool, struct, map, slice, []byte, json.RawMessage, any, or a pointer to one", t)
	}
	return ""
}

// decodable reports whether encoding/json may be able to decode into a t. It checks the outermost
// type. A field of a type that cannot be decoded shows as an error when an event arrives.
func decodable(t reflect.Type) bool {
	if reflect.PointerTo(t).Implements(reflect.TypeFor[json.Unmarshaler]()) {
		return true
	}
	switch t.Kind() {
	case reflect.Chan, reflect.Func, reflect.Complex64, reflect.Complex128, reflect.UnsafePointer, reflect.Uintptr, reflect.Invalid:
		return false
	case reflect.Interface:
		return t.NumMethod() == 0
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
		return decodable(t.Elem())
	}
	return true
}

// readAck returns the reason why t cannot be the type of an acknowledgement function; "" if it can.
func readAck(t reflect.Type) string {
	if t == ackType {
		return ""
	}
	if t.NumOut() > 0 {
		return "an acknowledgement function returns nothing"
	}
	for i := range t.NumIn() {
		switch t.In(i).Kind() {
		case reflect.Chan, reflect.Func, reflect.Complex64, reflect.Complex128, reflect.UnsafePointer:
			return fmt.Sprintf("no JSON can be made of its %v", t.In(i))
		}
	}
	return ""
}

// call calls the function: with s for its *Socket, failure for its error, ack for its
// acknowledgement function. The error says which argument does not fit; the function was then not
// called. The most frequent types of handlers are called without reflection.
func (h handler) call(s *Socket, failure error, args Args, ack Ack) error {
	switch f := h.fn.(type) {
	case func():
		f()
		return nil
	case func(string):
		text, err := args.text(0)
		if err != nil {
			return argumentError(0, err)
		}
		f(text)
		return nil
	case func(string, func(string)):
		text, err := args.text(0)
		if err != nil {
			return argumentError(0, err)
		}
		f(text, func(answer string) { _ = ack(answer) })
		return nil
	case func(*Socket, Args):
		f(s, args)
		return nil
	case func(*Socket, Args, Ack):
		f(s, args, ack)
		return nil
	}
	return h.callReflect(s, failure, args, ack)
}

func (h handler) callReflect(s *Socket, failure error, args Args, ack Ack) error {
	sig := h.sig
	in := make([]reflect.Value, 0, len(sig.params)+3)
	if sig.socket {
		in = append(in, reflect.ValueOf(s))
	}
	if sig.failure {
		in = append(in, errorValue(failure))
	}
	if sig.args {
		in = append(in, reflect.ValueOf(args))
	}
	for i, t := range sig.params {
		v := reflect.New(t).Elem()
		if err := args.decode(i, v); err != nil {
			return argumentError(i, err)
		}
		in = append(in, v)
	}
	if sig.variadic != nil {
		for i := len(sig.params); i < args.Len(); i++ {
			v := reflect.New(sig.variadic).Elem()
			if err := args.decode(i, v); err != nil {
				return argumentError(i, err)
			}
			in = append(in, v)
		}
	}
	if sig.ack != nil {
		in = append(in, ackValue(sig.ack, ack))
	}
	reflect.ValueOf(h.fn).Call(in)
	return nil
}

func argumentError(i int, err error) error { return fmt.Errorf("argument %d: %w", i+1, err) }

// errorValue returns an error, which may be nil, as a value of type error.
func errorValue(err error) reflect.Value {
	v := reflect.New(errorType).Elem()
	if err != nil {
		v.Set(reflect.ValueOf(err))
	}
	return v
}

// ackValue returns a function of type t that calls the Ack.
func ackValue(t reflect.Type, ack Ack) reflect.Value {
	switch t { // the most frequent types need no reflect.MakeFunc
	case ackType:
		return reflect.ValueOf(ack)
	case ackTextType:
		return reflect.ValueOf(func(answer string) { _ = ack(answer) })
	case ackEmptyType:
		return reflect.ValueOf(func() { _ = ack() })
	case ackAnyType:
		return reflect.ValueOf(func(answer any) { _ = ack(answer) })
	}
	return reflect.MakeFunc(t, func(in []reflect.Value) []reflect.Value {
		args := make([]any, 0, len(in))
		for i, v := range in {
			if t.IsVariadic() && i == len(in)-1 {
				for k := range v.Len() {
					args = append(args, v.Index(k).Interface())
				}
				break
			}
			args = append(args, v.Interface())
		}
		_ = ack(args...) // a function of this type cannot return the error
		return nil
	})
}
