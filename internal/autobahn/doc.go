// Package autobahn plays the cases of the Autobahn test suite, by their numbers, against a
// WebSocket server that sends each message back.
//
// There are only a few types. A [Case] is one connection and what has to happen on it; [Play] plays
// all of them and returns a [Result] each. The client is made of nothing but the standard library,
// so that it shares no mistake with the server. It is stricter than the suite: where that takes an
// end of the connection for an answer, this client wants the close frame with its code.
//
// The cases with many messages (9.7, 9.8, 12 and 13) have fewer here than the suite has, and their
// payloads are made, not read from its files.
package autobahn
