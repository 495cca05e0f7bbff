// The log of recovery that the servers of a cluster have in common.

package sio

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"
)

// SharedLog is a socketio.Adapter of one namespace with a log of its recoverable events that all
// servers share. The events of all servers, this one included, come back from the log in its order,
// each with its number: the adapter gives them to Logged. All methods may be called on any
// goroutine, and none blocks. Functions that they get are called once, on any goroutine.
type SharedLog interface {
	// Begin makes the events of this server come back too, and returns the number of the last event
	// that Logged was not given: it gets all that follow.
	// lost is called whenever events of the log were lost on their way.
	Begin(lost func()) uint64

	// Fill reads the events of the namespace up to a number, back to a time and at most so many
	// bytes. The list has all behind from, the oldest first. The error says that the log could not
	// be read.
	Fill(upTo uint64, back time.Duration, bytesMax int, done func(list []SharedEvent, from uint64, err error))

	// Save keeps the session of a client that has left, for a time.
	Save(s *SharedSession, keep time.Duration)

	// Take gets the session with a private id, which nobody can get again; nil: there is none.
	Take(pid string, done func(*SharedSession))
}

// SharedEvent is an event of the log.
type SharedEvent struct {
	Number    uint64
	Broadcast any // a socketio.Broadcast
}

// SharedSession is what a client gets back on any server.
type SharedSession struct {
	ID, PID string
	Rooms   []string // that of its id first
	Data    json.RawMessage

	// What only servers of c100k know. Own tells whether one has saved the session.
	Own           bool
	Subject       string // whom the client spoke for, "" for a client that was not identified
	Base, Settled uint64 // see awaySession in package socketio
}

// Saver is a Data of a socket that another server could not read. Saved returns what is saved for
// it, and is called on the loop of the socket.
type Saver interface{ Saved() any }

// Logged delivers a socketio.Broadcast of a shared log to the sockets of a *socketio.Local. Package
// socketio sets it.
var Logged func(local, broadcast any, number uint64) error

// Of the number of an entry of a stream, the lower bits count the entries of one millisecond.
const (
	offsetCountBits = 20
	offsetTimeMax   = 1 << (64 - offsetCountBits)
)

// ParseOffset returns the number of the event with the id of an entry in a Redis stream: its time
// in milliseconds, a hyphen, and a count. ok is false if it is none, or of no time of this era.
func ParseOffset(id string) (number uint64, ok bool) {
	ms, count, _ := strings.Cut(id, "-")
	at, err := strconv.ParseUint(ms, 10, 64)
	n, err2 := strconv.ParseUint(count, 10, 64)
	if err != nil || err2 != nil || at >= offsetTimeMax || n >= 1<<offsetCountBits {
		return 0, false
	}
	return at<<offsetCountBits | n, true
}

// FormatOffset returns the id of an event.
func FormatOffset(number uint64) string {
	return strconv.FormatUint(number>>offsetCountBits, 10) + "-" + strconv.FormatUint(number&(1<<offsetCountBits-1), 10)
}

// OffsetTime returns when an event was logged, by the clock of Redis.
func OffsetTime(number uint64) time.Time { return time.UnixMilli(int64(number >> offsetCountBits)) }

// OffsetAt returns the number before all events of a time.
func OffsetAt(at time.Time) uint64 {
	ms := at.UnixMilli()
	if ms <= 0 || ms >= offsetTimeMax {
		return 0
	}
	return uint64(ms) << offsetCountBits
}
