// Every bound of the package, with its unit and its reason.

package presence

import "time"

const (
	// PageMembers is how many members a page has at most.
	PageMembers = 1000

	// TickEvery is how often what loops have said is taken over: a member is seen that much later.
	TickEvery = 100 * time.Millisecond

	// ExchangeEvery is how often processes tell each other what has changed, and how their tables
	// sum up.
	ExchangeEvery = 500 * time.Millisecond

	// WatchEvery is how often a watcher is sent a message at most.
	WatchEvery = time.Second

	// Linger is how long a client of long polling stays a member behind the end of its poll: it comes
	// back with the next one. It is a little less than the time in which those of a node vanish that
	// was killed.
	Linger = 4 * time.Second

	// QueueMax bounds the changes that loops have said and that nobody has taken over. Beyond it
	// nobody can join; who leaves has joined before, so those are bounded too.
	QueueMax = 1 << 20

	// AsksMax bounds the questions of clients that wait for their page. Each scans a topic.
	AsksMax = 1024

	// orderIdle is how long the order of a topic's names is kept for pages, 16 bytes a user, behind
	// the last one. It is made anew when more have come and gone than orderChangesMin and one in
	// orderChangesPart of its names.
	orderIdle        = 10 * time.Second
	orderChangesMin  = 1000
	orderChangesPart = 8

	// ChangeBytesMax bounds the names in a message to watchers, in bytes of JSON. The others are in
	// the next one.
	ChangeBytesMax = 512 << 10

	// chunkBytes is about how large a message to other processes becomes, in bytes: the bus takes at
	// least the smallest --max-message.
	chunkBytes = 16 << 10

	// inboxMax bounds the messages of other processes that wait. One that is lost is noticed by the
	// sum of its table, and the table is asked for as a whole.
	inboxMax = 4096

	// askAgainAfter is how long the table of another process is waited for.
	askAgainAfter = 3 * time.Second

	// PeerMembersMax bounds what one other process may have in its table, in members: without it a
	// process that has gone mad fills the memory of all.
	PeerMembersMax = 1 << 21

	// subBytesMax and infoBytesMax bound what another process says of a user, in bytes: a token cannot
	// say more.
	subBytesMax  = 128
	infoBytesMax = 2 << 10
)
