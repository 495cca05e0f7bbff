// Package topicws is the topic protocol over WebSocket: the bare form, in which a frame is a
// payload, and the enveloped form c100k.v1, in which every message is a JSON object.
// docs/protocol.md is its specification for client authors.
//
// There are only a few types. A [Handler] serves one role of one loop; its sessions are 16 bytes
// each, in a slab. A [Command] is one request of a c100k.v1 client, scanned in place by
// [ParseCommand]; a [Refusal] says why it was not one, or may not be done. The encoders append
// server frames: EncodeBare, EncodeEnvelope and their compressed forms are [broadcast.Encoder]
// functions and run once a message, whatever the number of subscribers.
//
// What all WebSocket protocols share (frames, heartbeat, close handshake, rate, back-pressure) is
// internal/wsconn.
package topicws
