// Package sse is the topic protocol over Server-Sent Events (WHATWG HTML, 9.2): one GET request
// whose answer never ends. docs/protocol.md says what a client gets.
//
// There are only a few types. A [Handler] serves one role of one loop: [Handler.Open] answers the
// request and subscribes, everything after that is broadcast. Its sessions are six bytes each, in
// a slab. The functions of codec.go are pure: [NewEncoder] gives the [broadcast.Encoder] of this
// wire form.
package sse
