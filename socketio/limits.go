// Limits of the package in one place: each with its unit and the reason for it.

package socketio

import "time"

const (
	// AttachmentsMax bounds the binary attachments of one packet, both ways: what socket.io-parser
	// allows by default. Beyond it a client is refused at the header; without it one line of text
	// would make us collect for ever.
	AttachmentsMax = 10

	// assemblyTimeoutDefault bounds how long the attachments of a packet may take behind it; twice
	// that is the longest, for a client is looked at now and then. It is what the body of a POST may
	// take (engineio.BodyTimeout), which is the other way to bring them. Without it a client that
	// sends all but the last keeps them for as long as it answers the heartbeat.
	assemblyTimeoutDefault = 30 * time.Second

	// NamespaceBytesMax bounds the name of a namespace, its query included, in bytes. A name becomes
	// part of a topic's.
	NamespaceBytesMax = 255

	// ArgumentsMax bounds the arguments of one event or acknowledgement. Each costs a slice's header
	// when it is split, twelve times the shortest argument; without a bound a payload of a megabyte
	// would cost twelve.
	ArgumentsMax = 256

	// EventBytesMax bounds the name of an event, in bytes.
	EventBytesMax = 255

	// RoomBytesMax bounds the name of a room, in bytes: it is hashed or copied wherever it is named.
	RoomBytesMax = 255

	// NamespacesPerClientMax bounds the namespaces that one connection joins. Each costs a Socket and
	// what the program keeps with it.
	NamespacesPerClientMax = 128

	// NamespacesDefault is what Options.NamespacesMax = 0 means: namespaces on a server, of which
	// clients can make as many as dynamic ones match.
	NamespacesDefault = 10_000

	// RoomsPerSocketMax bounds the rooms of one socket: looking for one looks through all.
	RoomsPerSocketMax = 1000

	// AcksPerSocketMax bounds the acknowledgements that are waited for from one socket without a
	// timeout or before it has passed. A client that never answers must not fill the memory.
	AcksPerSocketMax = 10_000

	// connectTimeoutDefault is what Options.ConnectTimeout = 0 means: how long a client may be
	// connected without joining a namespace.
	connectTimeoutDefault = 45 * time.Second

	// pingIntervalDefault and pingTimeoutDefault are the heartbeat of Node's server.
	pingIntervalDefault = 25 * time.Second
	pingTimeoutDefault  = 20 * time.Second

	// ordersBytesMax bounds what one loop was ordered and has not done, in bytes of packets. Beyond it
	// calls return ErrBusy: without it a program that sends faster than its clients' loop can would
	// fill the memory.
	ordersBytesMax = 64 << 20

	// orderBytes is what an order counts beside its packet.
	orderBytes = 128

	// roomEventsMax bounds the events of a namespace's rooms that wait for Namespace.OnRoomEvent;
	// without it a program that blocks there would fill the memory with them.
	roomEventsMax = 100_000

	// logBytesDefault is what Recovery.LogBytesMax = 0 means: packets kept for clients that are away,
	// in bytes for each namespace.
	logBytesDefault = 16 << 20

	// sessionsDefault is what Recovery.SessionsMax = 0 means: clients of one namespace that are away
	// and can be recovered.
	sessionsDefault = 100_000

	// recoveryDurationDefault is what Recovery.MaxDisconnection = 0 means, as with Node's server.
	recoveryDurationDefault = 2 * time.Minute
)
