// Package frame turns bytes into WebSocket messages and back: RFC 6455 and RFC 7692 over byte
// slices, without I/O, goroutines or locks.
//
// There are only a few types:
//
//   - [Reader] parses what one connection receives. [Reader.Next] is given the bytes of one read
//     and hands out one complete message, or one control frame, a call. A message that lies whole
//     in those bytes is unmasked where it lies and handed out as a slice of them: no copy, no
//     allocation. Only a message that is split over reads or fragments is gathered in a buffer,
//     which grows as bytes arrive and never on the word of a declared length.
//   - [Options] says what a Reader must know of its connection: the message limit, the role,
//     whether compression was negotiated.
//   - [Message] is what comes out.
//   - [Error] is how a connection ends: a close code and the reason, both to be sent to the peer.
//
// Output is functions that append: [AppendHeader], [AppendFrame], [AppendClose], [AppendMasked],
// [AppendCompressed]; [Message.InPlace] makes an echo without moving a byte, because a server's
// header is never longer than the masked one it answers.
//
// # Who may call
//
// A Reader belongs to one connection and is not safe for concurrent use: the owner
// of the connection (its event loop) calls it. The zero Reader stands at a frame boundary and holds
// nothing, so a connection that is [Reader.Idle] needs none. All functions may be called from any
// goroutine.
//
// # How long a payload lives
//
//	Message.Owned       heap memory that nothing else refers to: the caller's for good
//	in place            a slice of the bytes given to Next or Read: as long as those
//	neither             a control frame that straddled reads: until the next call of the same Reader
//
// InPlace succeeds for the first two only, so its result never lies in the Reader.
//
// # What is checked where
//
// Reader answers illegal frames, text that is not UTF-8 (at the first impossible byte, even inside
// an unfinished frame), corrupt compression and messages over the limit. The body of a close frame
// is checked by [ParseClose], as the connection ends with it either way. After an error a Reader
// returns that error for ever; after a close frame it discards the input.
package frame
