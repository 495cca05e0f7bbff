// Limits of the package in one place: each with its unit and the reason for it.

package siowire

const (
	// MessageBytesMax bounds a message that is decoded, in bytes. Redis carries 512 MB. Without it a
	// message of that size would become a multiple of it in memory.
	MessageBytesMax = 16 << 20

	// AnswerBytesMax bounds an answer, in bytes: that to FetchSockets has some hundred bytes for each
	// socket of a server, so that 100,000 sockets fit.
	AnswerBytesMax = 64 << 20

	// SelectionMax bounds the rooms, and the rooms that are left out, of one message. Each costs a
	// search. Without it one message could occupy a server for seconds.
	SelectionMax = 1 << 16

	// RoomBytesMax bounds the name of a room, in bytes: that of package socketio. No socket can be in
	// a room with a longer name.
	RoomBytesMax = 255

	// IDBytesMax bounds the UID of a server and the id of a request, in bytes. Node's have 6 or 16.
	IDBytesMax = 64

	// AttachmentsMax bounds the binary values of a message with an event: that of package socketio.
	AttachmentsMax = 10
)
