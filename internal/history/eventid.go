// Event ids of Server-Sent Events: one id says where a stream is in all of its topics.

package history

import (
	"hash/fnv"
	"strconv"
	"strings"

	"c100k/broadcast"
)

// A stream of one topic has that topic's position as its id. One of several topics has theirs, in
// the order of the request, with "-" for a topic without positions, and behind a semicolon a
// checksum of the names: an id that comes back with other topics says nothing of them.

// TopicsSum is the checksum of a stream's topics. Any goroutine.
func TopicsSum(topics []string) uint32 {
	h := fnv.New32a()
	for _, topic := range topics {
		_, _ = h.Write([]byte(topic))
		_, _ = h.Write([]byte{0}) // no topic has one
	}
	return h.Sum32()
}

// AppendEventID appends the id of a stream; sum is that of its topics, and a zero position that of
// a topic without positions. Any goroutine.
func AppendEventID(dst []byte, sum uint32, positions []broadcast.Position) []byte {
	for i, p := range positions {
		if i > 0 {
			dst = append(dst, ',')
		}
		if p == (broadcast.Position{}) {
			dst = append(dst, '-')
		} else {
			dst = AppendPosition(dst, p)
		}
	}
	if len(positions) > 1 {
		dst = strconv.AppendUint(append(dst, ';'), uint64(sum), 16)
	}
	return dst
}

// ParseEventID reads the id that the client of a stream has heard last, and returns for each topic
// where it wants to begin. It has no error: an EventSource takes every answer but 200 for final, so
// what cannot be read is a position that no topic has, and the stream says so. Any goroutine.
func ParseEventID(id string, topics []string) []From {
	from := make([]From, len(topics))
	parts := []string{id}
	ok := len(id) <= EventIDBytesMax
	if ok && len(topics) > 1 {
		list, sum, _ := strings.Cut(id, ";")
		parts = strings.Split(list, ",")
		ok = len(parts) == len(topics) && sum == strconv.FormatUint(uint64(TopicsSum(topics)), 16)
	}
	for i := range from {
		switch p, err := parsePart(parts, i); {
		case !ok || err != nil:
			from[i] = Unknown()
		case p != (broadcast.Position{}):
			from[i] = After(p)
		}
	}
	return from
}

func parsePart(parts []string, i int) (broadcast.Position, error) {
	if i >= len(parts) {
		return broadcast.Position{}, ErrPosition
	}
	if parts[i] == "-" && len(parts) > 1 {
		return broadcast.Position{}, nil
	}
	return ParsePosition(parts[i])
}
