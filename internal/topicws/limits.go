// Every bound of the topic protocol, with its unit and its reason.

package topicws

import "time"

const (
	// TopicsPerConnectionMax bounds the topics one connection may be subscribed to: the node gives
	// it to its hub, and holds the topics of an upgrade request to it. A look-up goes through the
	// topics that a connection has, so without it one client could make its commands slow for
	// everybody; and a topic that nobody else has costs the node some hundred bytes.
	TopicsPerConnectionMax = 256

	// TopicNameBytesPerConnectionMax bounds the names of the topics that one connection, stream or
	// session is subscribed to, in bytes together: the node gives it to its hub. It is 256 topics of
	// 64 bytes. A topic that nobody else has costs its name several times, so without it a client
	// could take four times as much with names of 255 bytes.
	TopicNameBytesPerConnectionMax = 16 << 10

	// TopicsPerCommandMax bounds the topics of one subscribe or unsubscribe, because each is a
	// look-up on the loop: a hundred are some tens of microseconds during which nobody else is
	// served.
	TopicsPerCommandMax = 100

	// IDBytesMax bounds the JSON text of a command's id (a UUID string takes 38): it is echoed, and
	// a reply should not be longer than what asked for it.
	IDBytesMax = 64

	// UnansweredMax bounds the publishes of one connection that wait for their acks, where other
	// nodes have to be asked for the count: without it one client could use up the questions that a
	// node may have open. It is more than the shortest publishes that fit into one read, so a client
	// that sends many at once and then waits does not meet it.
	UnansweredMax = 2048

	// HeldCommandsMax and HeldBytesMax bound the commands of one connection that wait while its token
	// is verified, and their length in bytes. Without them a client could send without end into our
	// memory.
	HeldCommandsMax = 128
	HeldBytesMax    = 64 << 10

	// IdentifyTimeout is how long a connection may wait for the answer about its token. It is longer
	// than those who verify it take, so it ends connections whose answer was lost.
	IdentifyTimeout = 10 * time.Second

	// WaitingCommandsMax and WaitingBytesMax bound what waits on one connection while a backend
	// decides, in commands and in bytes. Beyond them commands are refused. Without them a client
	// could fill the memory of a node whose backend is slow. One command may always wait.
	WaitingCommandsMax = 64
	WaitingBytesMax    = 256 << 10

	// heldBytes is what a command that waits costs beside its text, in bytes, topicBytes what each
	// of its topics costs beside its name.
	heldBytes  = 256
	topicBytes = 40

	// DetailBytesMax bounds how much of the client's own input an error message quotes.
	DetailBytesMax = 64
)
