// What a hub is made with.

package broadcast

import (
	"errors"
	"fmt"
	"time"
)

// Policy says what happens to a member whose outbox has no room for what it should get.
type Policy uint8

const (
	// Disconnect closes the member. One that is owed nothing is not slow and gets even a message that
	// is larger than its outbox.
	Disconnect Policy = iota
	// DropOldest drops messages that wait in the outbox, oldest first, and announces a gap in front.
	DropOldest
	// DropNewest leaves out the messages that do not fit and announces a gap before the next that
	// does.
	DropNewest
)

var policyNames = [...]string{Disconnect: "disconnect", DropOldest: "drop-oldest", DropNewest: "drop-newest"}

// String returns "disconnect", "drop-oldest" or "drop-newest".
func (p Policy) String() string {
	if int(p) < len(policyNames) {
		return policyNames[p]
	}
	return "unknown"
}

// ParsePolicy is the inverse of Policy.String.
func ParsePolicy(name string) (Policy, error) {
	for p, n := range policyNames {
		if n == name {
			return Policy(p), nil
		}
	}
	return 0, fmt.Errorf("slow-consumer policy %q: want disconnect, drop-oldest or drop-newest", name)
}

// Options configure a Hub.
type Options struct {
	// Shards is the number of loops, 1 to ShardsMax. No default.
	Shards int

	// Encoders make the wire forms: Encoders[f] is for Form f. 1 to FormsMax, none of them nil. No
	// default.
	Encoders []Encoder

	// PersonalForms has bit f set if form f is made for each member by Sink.Encode, because it carries
	// what only this member has. Encoders[f] is then there for its size: it must append at least as
	// many bytes as Sink.Encode. Such a form costs an encoding for each delivery.
	PersonalForms uint32

	// Wake makes a turn of loop i run soon, so that Deliver is called on it. Called on any goroutine,
	// must not block. Nil: the program calls Deliver at intervals of its own.
	Wake func(shard int)

	// Policy is for members that are slow; default Disconnect.
	Policy Policy

	// OutboxBytesMax bounds what one member may be owed, in bytes, shared ones too; 0 means
	// OutboxBytesDefault.
	OutboxBytesMax int

	// PendingBytesMax bounds messages published and not yet delivered over the hub, in bytes of
	// payloads and forms and a fixed sum for each message; beyond it Publish drops. 0 means
	// PendingBytesDefault.
	PendingBytesMax int

	// TopicsPerMemberMax bounds the topics of one member; 0 means TopicsPerMemberDefault.
	TopicsPerMemberMax int

	// TopicNameBytesPerMemberMax bounds the names of the topics of one member, in bytes together; 0
	// means no bound beside TopicsPerMemberMax and TopicBytesMax.
	TopicNameBytesPerMemberMax int

	// Positions is asked when a topic begins: at a Subscribe, or at a Publish without members. If ok,
	// the messages of the topic have positions, the first one this one; they are encoded at their
	// first delivery, when they have it; and the topic stays until Hub.Release. It is called on any
	// goroutine, must not block, and may be asked more than once for one topic; an epoch of its own
	// for each answer keeps positions unique whatever happens at the same time. Nil: no topic has
	// positions.
	Positions func(topic string) (first Position, ok bool)

	// Keep is asked when a topic with positions begins, how much of it is kept for Shard.Resume and
	// Hub.Kept. It must not block; any goroutine calls it. Nil: nothing is kept.
	Keep func(topic string) Keep

	// Older says that a store has older messages of topics with positions than a log, which Hub.Fill
	// puts in. Hub.Covers tells when that is needed.
	Older bool

	// Floor is asked when a topic with positions begins: behind this offset all its messages come to
	// this hub, or have come. It must not block; any goroutine calls it. Nil: the first position's is
	// the first of all.
	Floor func(topic string) uint64

	// Reached is up to which offset the owner of a topic has published its messages, where offsets
	// count those of other topics too: a position up to there is one that a member can have. It must
	// not block; any goroutine calls it. Nil: that of the topic's last message.
	Reached func(topic string) uint64

	// KeptBytesMax bounds what is kept of all topics, in bytes of memory; 0 means KeptBytesDefault.
	KeptBytesMax int

	// EncodedBytesMax returns at least what Encoders[f] makes of a message, in bytes. It is counted
	// against PendingBytesMax until a message of a topic with positions has been encoded. It must be
	// pure; any goroutine calls it. Required with Positions.
	EncodedBytesMax func(f Form, m *Message) int

	// Now reads the clock for Message.Published; nil means monotonic time since NewHub.
	Now func() time.Duration

	// Occupied is called when a topic may have got its first members, or lost its last ones;
	// Hub.Occupied tells which. It is called on the loop of a shard and must not block. Nil: nothing
	// is called.
	Occupied func(topic string)

	// Members hears of who is a member of a topic. Nil: nobody does.
	Members Members

	// Done is called once for every queued message, and for one of a topic with positions that a shard
	// has to pass over without members, when the last shard has ended its pass over it, on that
	// shard's loop. It must not block. Nil: nothing is called.
	Done func(shard int, m *Message)
}

// Members hears of the members of topics. Its methods are called on the loop of a shard, and must
// not block, call the shard, or panic.
type Members interface {
	// Wanted tells whether Joined and Left are to be called for a topic, which has just begun. Any
	// goroutine.
	Wanted(topic string) bool
	// Room is asked before a member joins; false refuses it with ErrShardFull.
	Room() bool
	// Joined and Left are called when a member is one of a topic, and when it is no longer.
	Joined(shard int, member uint32, topic string)
	Left(shard int, member uint32, topic string)
}

// Validate returns an error that names each field that is out of its bounds, or nil.
func (o *Options) Validate() error {
	var errs []error
	bounds := func(name string, v, low, high int) {
		if v < low || v > high {
			errs = append(errs, fmt.Errorf("broadcast: %s is %d, want %d to %d", name, v, low, high))
		}
	}
	const most = 1 << 40
	bounds("Shards", o.Shards, 1, ShardsMax)
	bounds("len(Encoders)", len(o.Encoders), 1, FormsMax)
	bounds("Policy", int(o.Policy), 0, len(policyNames)-1)
	bounds("OutboxBytesMax", o.OutboxBytesMax, 0, most)
	bounds("PendingBytesMax", o.PendingBytesMax, 0, most)
	bounds("KeptBytesMax", o.KeptBytesMax, 0, most)
	bounds("TopicNameBytesPerMemberMax", o.TopicNameBytesPerMemberMax, 0, most)
	bounds("TopicsPerMemberMax", o.TopicsPerMemberMax, 0, TopicsPerShardMax)
	if o.Positions != nil && o.EncodedBytesMax == nil {
		errs = append(errs, errors.New("broadcast: Positions is set and EncodedBytesMax is not"))
	}
	for f, e := range o.Encoders {
		if e == nil {
			errs = append(errs, fmt.Errorf("broadcast: Encoders[%d] is nil", f))
		}
	}
	return errors.Join(errs...)
}

// orDefault returns v, or def when v is zero.
func orDefault(v, def int) int {
	if v == 0 {
		return def
	}
	return v
}
