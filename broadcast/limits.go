// Limits of the package in one place: each with its unit and the reason for it.

package broadcast

import "time"

const (
	// TopicBytesMax bounds a topic name, in bytes; without it a name could cost more than a message.
	TopicBytesMax = 255

	// TopicBytes is about what a topic with one member takes beside its name, in bytes: its record and
	// list, its roster, and its entries in the hub and the shard. Measured: 0.6 KB.
	TopicBytes = 640

	// FormsMax bounds the wire forms of a hub: a message has a pointer for each, so that it takes 256
	// bytes. A seat has room for 64.
	FormsMax = 16

	// ShardsMax bounds the shards of a hub; a topic has one pointer for each.
	ShardsMax = 256

	// MembersMax bounds member numbers (0 to MembersMax-1); a seat has 24 bits for its member.
	MembersMax = 1 << 24

	// TopicsPerShardMax bounds the topics with members in one shard; a mark has 24 bits for the topic.
	TopicsPerShardMax = 1<<24 - 1

	// SubscriptionsPerShardMax bounds the second and later subscriptions of all members of a shard, so
	// that their numbers stay clear of 32 bits.
	SubscriptionsPerShardMax = 1 << 30

	// TopicsPerMemberDefault is what Options.TopicsPerMemberMax = 0 means. Subscribe looks through the
	// topics that the member has; without a bound one client could make that slow for everybody.
	TopicsPerMemberDefault = 1024

	// OutboxBytesDefault is what Options.OutboxBytesMax = 0 means: bytes that one member may lag
	// behind.
	OutboxBytesDefault = 1 << 20

	// PendingBytesDefault is what Options.PendingBytesMax = 0 means: bytes published and not yet
	// delivered over the hub. Without a bound a publisher faster than the loops fills the memory.
	PendingBytesDefault = 256 << 20

	// RunMessagesMax bounds the messages of one pass; without it one busy topic builds runs without
	// end while the other topics wait.
	RunMessagesMax = 1024

	// slicesMax bounds the runs of kept messages that a shard holds for members that come back: each
	// is at most RunBytesMax. A cut finds members at two or three points of a topic.
	slicesMax = 4

	// RunBytesMax bounds the bytes of one pass when it has more than one message: a run is a copy of
	// its messages, and all of it is in the outbox of every member that lags.
	RunBytesMax = 256 << 10

	// runsPerOutboxMin is how many runs an outbox has room for: a run has at most that part of
	// Options.OutboxBytesMax (if it has more than one message). Without it a burst on a topic would by
	// itself look like a slow member.
	runsPerOutboxMin = 4

	// runBytesPerVisit is how many bytes of a run are put together in about the time of a visit;
	// Deliver counts them as one. Without it many long runs for few members each would make a turn
	// long.
	runBytesPerVisit = 16 << 10

	// idlePassesMax bounds the passes that a shard keeps for later, some 10 KiB each after a long run.
	idlePassesMax = 16

	// messageOverheadBytes is what a pending message costs beside its bytes: the Message, its node and
	// the headers of its forms. It bounds the number of pending messages that are empty.
	messageOverheadBytes = 256

	// encodedSlackBytes is the room given to an Encoder beside the payload, enough for a frame header
	// or a short envelope: most forms are then made with one allocation.
	encodedSlackBytes = 32

	// listingSlice is after how many topics a listing lets other goroutines run: about a millisecond.
	// Without it a listing of a million topics would keep a processor from a loop for as long as the
	// scheduler lets it.
	listingSlice = 4096

	// listingRoom is the room that a listing begins with, in topics; it grows up to what is asked for.
	listingRoom = 1024

	// KeepCountMax bounds Keep.Count, in messages: a ring of pointers is made for them.
	KeepCountMax = 1 << 20

	// KeptBytesDefault is what Options.KeptBytesMax = 0 means: bytes of kept messages over the hub.
	KeptBytesDefault = 256 << 20

	// logIndexMin is the room that a log begins with, in messages; it grows up to Keep.Count. Without
	// it a topic with one message would cost as much as one with Keep.Count of them.
	logIndexMin = 8

	// numberedFrom is the number of the node that the list of a topic with positions begins with:
	// there is room below it for older messages, which Hub.Fill puts in the log.
	numberedFrom = 1 << 40

	// FillPart is the part of Options.KeptBytesMax that one Hub.Fill takes at most: with a larger one,
	// two topics would push each other out.
	FillPart = 4

	// filledStays is how long what Fill has put into a log is not forgotten for the sake of
	// Options.KeptBytesMax: the members that wait for it take it in this time.
	filledStays = 10 * time.Second

	// fullTurnsMax is how many times in a row a replay looks at an outbox without room before it takes
	// what is there for a backlog and waits until that has drained. Without it a loop would turn for
	// as long as a member does not read.
	fullTurnsMax = 3

	// trimRoundsMax bounds the rounds of TrimKept: each halves the time that is kept, so that 40 of
	// them come down from hours to the resolution of the clock.
	trimRoundsMax = 40

	// chunkLen is the number of records in a chunk of the shard's arrays. They grow by whole chunks,
	// so nothing big is ever copied or doubled, and at most one chunk of each array is partly used.
	chunkLen = 1 << chunkBits

	chunkBits = 8
)
