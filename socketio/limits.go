// Limits of the package in one place: each with its unit and the reason for it.

package socketio

import "time"

const (
	// AttachmentsMax bounds the binary attachments of one packet, both ways: what socket.io-parser
	// allows by default. A packet with more is refused when its header is read; without it one line of
	// text could make the server collect attachments without end.
	AttachmentsMax = 10

	// assemblyTimeoutDefault bounds how long the attachments of a packet may take. A client is checked
	// once in this time, so that a packet may take at most twice as long. It is the time that the body
	// of a POST may take (engineio.BodyTimeout). Without it a client that sends all attachments but
	// the last occupies their memory as long as it answers the heartbeat.
	assemblyTimeoutDefault = 30 * time.Second

	// NamespaceBytesMax bounds the name of a namespace, its query included, in bytes. A name becomes
	// part of a topic's.
	NamespaceBytesMax = 255

	// ArgumentsMax bounds the arguments of one event or acknowledgement. Each costs the header of a
	// slice, twelve times the shortest argument. Without it a payload of one megabyte would cost
	// twelve megabytes.
	ArgumentsMax = 256

	// EventBytesMax bounds the name of an event, in bytes.
	EventBytesMax = 255

	// RoomBytesMax bounds the name of a room, in bytes: each use of a name hashes or copies it.
	RoomBytesMax = 255

	// NamespacesPerClientMax bounds the namespaces that one connection joins. Each costs a Socket and
	// the memory that the program keeps with it.
	NamespacesPerClientMax = 128

	// NamespacesDefault is what Options.NamespacesMax = 0 means: namespaces of a server. Without it
	// clients could make as many as a Dynamic matches.
	NamespacesDefault = 10_000

	// RoomsPerSocketMax bounds the rooms of one socket: they are searched linearly.
	RoomsPerSocketMax = 1000

	// AcksPerSocketMax bounds the pending acknowledgements of one socket. Without it a client that
	// never answers could fill the memory.
	AcksPerSocketMax = 10_000

	// earlyMax bounds the events that middlewares emit to a client that has not joined the namespace
	// yet. Without it a client could be sent events for as long as a middleware takes.
	earlyMax = 100

	// connectTimeoutDefault is what Options.ConnectTimeout = 0 means: how long a client may be
	// connected without joining a namespace.
	connectTimeoutDefault = 45 * time.Second

	// pingIntervalDefault and pingTimeoutDefault are the heartbeat of Node's server.
	pingIntervalDefault = 25 * time.Second
	pingTimeoutDefault  = 20 * time.Second

	// queueBytesMax bounds the command queue of one loop, in bytes of packets. When it is full, calls
	// return ErrBusy. Without it a program that sends faster than the loop can would fill the memory.
	queueBytesMax = 64 << 20

	// commandBytes is what a command counts in addition to its packet.
	commandBytes = 128

	// roomEventsMax bounds the events of a namespace's rooms that wait for Namespace.OnRoomEvent.
	// Without it a listener that blocks would let them fill the memory.
	roomEventsMax = 100_000

	// logBytesDefault is what Recovery.LogBytesMax = 0 means: the packets in the log of one namespace,
	// in bytes.
	logBytesDefault = 16 << 20

	// sessionsDefault is what Recovery.SessionsMax = 0 means: disconnected clients of one namespace
	// that can be recovered.
	sessionsDefault = 100_000

	// restoreEvery is how often it is looked whether a client that comes from another server can be
	// recovered, when this server is behind or reads what it needs, and restoreTriesMax how often.
	// After that the client begins anew.
	restoreEvery    = 25 * time.Millisecond
	restoreTriesMax = 100

	// offsetAheadMax is how far the clock of Redis may be ahead of ours. Without it a session that
	// somebody else wrote could make events of all times count as received.
	offsetAheadMax = time.Hour

	// recoveryDurationDefault is what Recovery.MaxDisconnection = 0 means, as with Node's server.
	recoveryDurationDefault = 2 * time.Minute
)
