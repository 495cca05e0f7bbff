// The store: what numbers the messages of topics with history, and keeps them.

package history

import (
	"context"
	"errors"
	"time"

	"c100k/broadcast"
)

var (
	// ErrFull is returned by Append while too much waits for the store; nothing was stored.
	ErrFull = errors.New("the store of history has too much to do")
	// ErrAway is returned by a store that cannot be reached at present; nothing was stored.
	ErrAway = errors.New("the store of history does not answer")
	// ErrUnsure is given to Append.Done if the store has not said whether it has the message: it may
	// have it, or get it yet. Whoever tries again does so with the same key.
	ErrUnsure = errors.New("the store of history has not said whether it has the message")
	// ErrTooLarge is wrapped by what Append returns for a message larger than the store takes.
	ErrTooLarge = errors.New("the message is too large for the store of history")
	// ErrNoHistory is returned for a topic of which nothing is kept.
	ErrNoHistory = errors.New("nothing is kept of this topic")
)

// What has a message when its publish is acknowledged.
const (
	DurableMemory     = "memory"     // the memory of a process
	DurableFile       = "file"       // files of one machine
	DurableReplicated = "replicated" // files of several machines
)

// Append is a message that is to be stored.
type Append struct {
	Post broadcast.Post // its Offset and Published are the store's to fill in
	Key  string         // if not empty: of several with the same key within two minutes, one is stored

	// Done, if not nil, is called once when the message is stored and this process has passed it on to
	// its members, or when that has failed; on any goroutine, perhaps before Store.Append returns. It
	// must not block.
	Done func(Appended)
}

// Appended is what became of an Append.
type Appended struct {
	broadcast.Result       // Position is that of the message; the counts are those of this process
	Repeated         bool  // the store had the message already: Append.Key
	Err              error // it is not stored, or that is not known: ErrUnsure
}

// Page is a part of what is kept of a topic.
type Page struct {
	Messages []Stored
	Newest   broadcast.Position // of the last message of the topic
	More     bool               // there are more in this direction
}

// Stored is a message that is kept.
type Stored struct {
	Position  broadcast.Position
	Kind      broadcast.Kind
	Payload   []byte
	Published time.Time
}

// Store numbers the messages of topics with history, for all processes that use it, and keeps them
// for clients that come back. Each process puts the messages into its hub in the store's order. The
// hub's log answers most resumes; what is older comes from the store.
//
// All stores pass the same test (storetest). Unless said otherwise, any goroutine may call the
// methods.
type Store interface {
	// Start begins to pass messages on to the hub, and returns when the newest that are kept are
	// there. Without a hub the process only appends and reads. It is called once.
	Start(ctx context.Context, hub *broadcast.Hub) error

	// Append stores a message. It does not block, and may be called on event loops. If it returns an
	// error, nothing is stored and Done is not called. The messages of one goroutine are stored in
	// their order. The payload is kept.
	Append(topic string, a Append) error

	// First, Floor and Reached are broadcast.Options.Positions, Floor and Reached.
	First(topic string) (broadcast.Position, bool)
	Floor(topic string) uint64
	Reached(topic string) uint64

	// Releasing is what broadcast.Hub.TrimKept wants.
	Releasing(topic string)

	// Prepare makes the hub's log answer a resume. It waits for the store, up to the end of ctx. An
	// error means that the store cannot be asked at present: the client is to try again later.
	Prepare(ctx context.Context, topic string, from broadcast.From) error

	// Page reads kept messages: those behind the position after, oldest first; or with reverse, those
	// before it, newest first. A zero position is the beginning, with reverse the end. Messages of
	// another epoch than the topic's are none.
	Page(ctx context.Context, topic string, after broadcast.Position, most int, reverse bool) (Page, error)

	// Forget forgets what is kept of a topic; its positions go on.
	Forget(ctx context.Context, topic string) error

	// Durable says what has a message of the topic when it is stored.
	Durable(topic string) string

	// Ready is nil while messages can be stored.
	Ready() error

	// Close ends what Start has begun. What waits is failed with ErrUnsure.
	Close() error
}
