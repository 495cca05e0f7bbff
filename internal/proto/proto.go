// Package proto is what a process knows of its protocols: a table with one row for each.
//
// There are only a few types. A [Protocol] serves the connections of one role on one loop: a
// netpoll.Handler that can also drain, kick and give up a connection, and tell it what it missed. A
// [Row] describes a protocol to the process: its paths, its transport label, how many roles it has,
// its wire forms, and how to make it on a loop. A [Table] is the rows with the roles and wire forms
// that they were given. [Protocols] is the part of a loop: its protocols by role.
//
// Package internal/node makes the table and uses it. A new protocol is a package and one row.
//
// A Table is immutable, so any goroutine may use it. Everything else belongs to one loop.
package proto

import (
	"net/http"

	"c100k/broadcast"
	"c100k/internal/auth"
	"c100k/internal/edge"
	"c100k/internal/trace"
	"c100k/netpoll"
)

// Protocol serves the connections of one role on one loop. All methods run on the loop. It may also
// implement Members, Holder, Brief and LastWord.
type Protocol interface {
	netpoll.Handler

	// Drain ends c because the node goes down, and tells the client to come back where the protocol
	// can say that.
	Drain(l *netpoll.Loop, c *netpoll.Conn)

	// Kick ends c because an operator asked for it.
	Kick(l *netpoll.Loop, c *netpoll.Conn)

	// Slow ends c because it takes what it is sent too slowly.
	Slow(l *netpoll.Loop, c *netpoll.Conn)

	// Shed ends c because the process holds too much for its clients, and much of it for c. What it
	// holds for c is free when the turn ends, but for what is needed to tell the client.
	Shed(l *netpoll.Loop, c *netpoll.Conn)

	// Gap appends to dst what tells a member of form f that it missed so many messages of a topic.
	// It appends nothing where the form has no way to say that.
	Gap(dst []byte, f broadcast.Form, topic string, missed uint32) []byte
}

// Members is implemented by a Protocol whose members are not simply connections: what a member of a
// topic is sent goes elsewhere than to the connection c that its number names. Without it the
// pending bytes, sends and drops are those of c.
type Members interface {
	// MemberPending is how many bytes wait to be sent to the member.
	MemberPending(l *netpoll.Loop, c *netpoll.Conn) int

	// MemberSend sends the member n whole messages. p is shared and must not be changed.
	MemberSend(l *netpoll.Loop, c *netpoll.Conn, p []byte, mark, n uint32)

	// MemberDrop drops messages that wait, oldest first, until need bytes are free.
	MemberDrop(l *netpoll.Loop, c *netpoll.Conn, need int, dropped func(mark, n uint32)) (freed int)
}

// Personal is implemented by a Protocol with forms that carry what only one member has
// (Row.Personal).
type Personal interface {
	// Encode appends m as c gets it: see broadcast.Sink.
	Encode(dst []byte, c *netpoll.Conn, m *broadcast.Message) []byte
}

// Holder is implemented by a Protocol that keeps more of its connections than their output in the
// loop and records of a fixed size: parts of messages, or queues of its own. The netpoll.Layer of a
// node may implement it, too: records that are not whole.
type Holder interface {
	// Held is how many bytes are kept of c, beside its pending output.
	Held(l *netpoll.Loop, c *netpoll.Conn) int

	// HeldBytes is the sum over all connections.
	HeldBytes() int64
}

// Brief is implemented by a Protocol whose clients come back in a moment anyway: when the node goes
// down, their connections end at once and not spread over the drain.
type Brief interface{ Brief() }

// LastWord is implemented by a Protocol that can tell a client why it is closed after a handler
// panicked. Without it the connection is closed without a word.
type LastWord interface {
	// Panicked sends c a last word and finishes it.
	Panicked(l *netpoll.Loop, c *netpoll.Conn)
}

// Revocable is implemented by a Protocol whose clients may be identified. Loop only.
type Revocable interface {
	Identified

	// Revoke ends c because its client's rights were taken back.
	Revoke(l *netpoll.Loop, c *netpoll.Conn)
}

// RevocableEach is implemented by a Protocol whose clients may speak for several principals. Loop
// only.
type RevocableEach interface {
	// RevokeEach takes back what c has from those principals that matches says it of; with kick it
	// ends c as an operator does.
	RevokeEach(l *netpoll.Loop, c *netpoll.Conn, kick bool, matches func(*auth.Principal) bool)
}

// Route serves a request whose head is complete, on the loop. Its result and its arguments are
// those of edge.Config.Route; who is the client where it was identified, else nil. It may answer
// edge.Wait where Part.Ask or the node can find out more; then it is called again with the answer,
// or Part.Resume is.
type Route func(l *netpoll.Loop, c *netpoll.Conn, h *edge.Head, rest []byte, who *auth.Principal) edge.Decision

// Row describes one protocol to a process.
type Row struct {
	// Name names the row to other rows and in errors. Required, and unique in a table.
	Name string

	// Transport is the label of the protocol's connections in the figures. Several rows may have the
	// same one. Required.
	Transport string

	// CountsClients is for a protocol whose clients are not connections: it counts them itself, by
	// Place.Count. Default false: each connection of its roles is counted.
	CountsClients bool

	// Paths are the paths of its requests, compared with the request's path as it was sent, without
	// decoding. No other row may have one of them.
	Paths []string

	// AnyPath makes the row serve also the requests for another protocol on the connection
	// (edge.Head.UpgradeRequested) that are for a path of no row. One row of a table may have it.
	AnyPath bool

	// Roles is how many roles the protocol has; 0 means 1.
	Roles int

	// Encoders make its wire forms. They get consecutive numbers, in this order.
	Encoders []broadcast.Encoder
	// EncodedBytesMax returns at least what Encoders[f] makes of a message, in bytes. Nil: twice its
	// payload and topic, and envelopeBytesMax.
	EncodedBytesMax func(f int, m *broadcast.Message) int
	// Personal has bit f set if Encoders[f] is a form of its own for each member: the protocol is then
	// a Personal.
	Personal uint32

	// New makes the protocol on one loop. It is called once for each loop, before the loops run.
	// Required.
	New func(p *Place) Part

	// Judge refuses a request that net/http has parsed, before its socket is taken over to a loop,
	// where Part.Serve judges it like any other. Any goroutine. Nil refuses nothing.
	Judge func(r *http.Request) *edge.Refusal

	// HTTP answers ordinary requests that belong to the protocol, such as those for its script or the
	// preflight of a browser. False: it has not answered. Any goroutine. Nil: there are
	// none.
	HTTP func(w http.ResponseWriter, r *http.Request) bool
}

// Place is where Row.New makes a protocol: one loop, and the numbers that the row has on all loops.
type Place struct {
	Loop    int   // the loop's index in this process
	Loops   int   // how many there are
	Process uint8 // this process's number among those that share the port

	Role  netpoll.Role   // the first of the row's roles
	Form  broadcast.Form // the first of the row's wire forms
	Table *Table
	Count *Count       // of the row's transport
	Edge  *edge.Config // of the head role

	// Shard is the loop's part of the topics, Sink where its members are; both nil in a process
	// without topics.
	Shard *broadcast.Shard
	Sink  broadcast.Sink

	// Principals are those of the loop's sessions.
	Principals *auth.Principals

	// Ended hears of connections that end. Nil: nobody does.
	Ended Ended

	// Farewell notes the code and the text of the close frame that ends a connection. Nil: nobody
	// asks. Loop only.
	Farewell func(c *netpoll.Conn, code uint16, text string)

	// Inherit gives the record `to` what was noted of the connection `from`: where from, and since
	// when. Nil: nobody asks. Loop only.
	Inherit func(to, from *netpoll.Conn)

	// Tap is told of each message of a connection.
	Tap *trace.Tap

	// Draining tells whether the process goes down. Any goroutine.
	Draining func() bool

	// Wake makes a turn of a loop run soon, by its index. Any goroutine, also before the loops run.
	Wake func(loop int)

	// Move takes a connection in the head role, with what was read of its request, to a loop by its
	// process and index, where the request is served; first is kept. False, having done nothing, if
	// there is no such loop. Loop only.
	Move func(l *netpoll.Loop, c *netpoll.Conn, process, loop uint8, first []byte) bool

	// Keep takes a connection whose request of m, which is not nil, is answered, and on which another
	// one may follow: that is for the handlers of the program's http.Server. early is what arrived
	// behind the request, and is copied. Loop only.
	Keep func(l *netpoll.Loop, c *netpoll.Conn, m *edge.Mount, early []byte)
}

// Part is a protocol on one loop.
type Part struct {
	// Protocols has one for each of the row's roles, in their order. Required.
	Protocols []Protocol

	// Serve serves requests for the row's paths. Required where it has any.
	Serve Route

	// ServeReturned serves a request that was to be moved to another process, and came back. Nil is
	// Serve.
	ServeReturned Route

	// Ask and Resume are those of edge.Config for the requests of the row about which it answers
	// edge.Wait. With Ask nil the node's own is asked, and with Resume nil Serve is called with the
	// principal that the answer is.
	Ask    func(l *netpoll.Loop, c *netpoll.Conn, h *edge.Head, t edge.Ticket)
	Resume func(l *netpoll.Loop, c *netpoll.Conn, h *edge.Head, rest []byte, value any) edge.Decision

	// Made is called when the loop is made, before it runs. It may be nil.
	Made func(l *netpoll.Loop)

	// BeforeDeliver runs in phase 6 before the messages of topics are delivered. It may be nil.
	BeforeDeliver func(l *netpoll.Loop)

	// Deliver runs in phase 6 after that, for at most so many members, and tells whether there is
	// more to do. It may be nil.
	Deliver func(l *netpoll.Loop, members int) (more bool)
}
