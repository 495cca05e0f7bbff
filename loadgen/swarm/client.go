// The record of one client, and the lists that clients wait in.

package swarm

import (
	"time"

	"c100k/netpoll"
)

// client is what the swarm keeps of a connection, also while it is down: 72 bytes without a
// pointer. The loop's.
type client struct {
	conn    netpoll.ID    // its socket; 0 while it has none
	began   time.Duration // when it began to connect
	track   track         // of the one sender that it expects to hear; with Publish, next is how many of sent were acknowledged
	since   uint64        // with flagJoined: the first number that nobody here had heard when it opened
	sent    uint64        // how many messages it has sent
	partial uint32        // index of what its parser holds, 0: nothing
	next    uint32        // 1 + index of who waits behind it
	code    uint16        // of the close frame that it got
	state   clientState
	step    uint8 // how far the protocol's own handshake has come
	fails   uint8 // attempts in a row that came to nothing
	flags   clientFlags
}

type clientState uint8

const (
	down       clientState = iota // and nobody will try again
	waiting                       // to be tried again, or for its turn
	connecting                    // from connect to the end of the handshake
	open
	closing // a close frame has gone one way at least
)

type clientFlags uint8

const (
	flagOpened clientFlags = 1 << iota // has been open before
	flagJoined                         // opened while others were sending: what it should hear begins with what it hears
	flagSlow                           // does not read
	flagOurs                           // closes because we want it to
)

// number is the client's number in the whole run.
func (s *Swarm) number(cl uint32) uint32 { return uint32(s.spec.FirstConn) + cl }

// topic is the index of the client's topic; 0 also where there is none.
func (s *Swarm) topic(cl uint32) int {
	if len(s.spec.Topics) == 0 {
		return 0
	}
	return int(s.number(cl)) % len(s.spec.Topics)
}

// queue is a list of clients that wait for the same thing, linked through their records.
type queue struct{ head, tail uint32 }

func (q *queue) empty() bool { return q.head == 0 }

func (q *queue) push(clients []client, i uint32) {
	clients[i].next = 0
	if q.tail == 0 {
		q.head = i + 1
	} else {
		clients[q.tail-1].next = i + 1
	}
	q.tail = i + 1
}

// pop takes the first; the queue must not be empty.
func (q *queue) pop(clients []client) uint32 {
	i := q.head - 1
	if q.head = clients[i].next; q.head == 0 {
		q.tail = 0
	}
	return i
}

// calendar holds clients until their time has come, to retryTick.
type calendar struct {
	days  [retryTicks]queue
	at    int64 // the day that is looked at next
	count int
}

func dayOf(t time.Duration) int64 { return int64(t / retryTick) }

// add puts a client off until a time that is at most retryAfterMax ahead.
func (c *calendar) add(clients []client, i uint32, until time.Duration) {
	day := max(dayOf(until)+1, c.at)
	c.days[day%retryTicks].push(clients, i)
	c.count++
}

// due moves to q all those whose time has come.
func (c *calendar) due(clients []client, now time.Duration, q *queue) {
	today := dayOf(now)
	if c.count == 0 {
		c.at = today
		return
	}
	c.at = max(c.at, today-retryTicks+1)
	for ; c.at <= today; c.at++ {
		for day := &c.days[c.at%retryTicks]; !day.empty(); c.count-- {
			q.push(clients, day.pop(clients))
		}
	}
}

// next is when the next client may be due; negative: none waits.
func (c *calendar) next() time.Duration {
	if c.count == 0 {
		return -1
	}
	return time.Duration(c.at) * retryTick
}
