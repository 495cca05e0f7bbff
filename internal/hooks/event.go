// What a backend is told: the events, and the body of a batch.

package hooks

import (
	"encoding/json"
	"strconv"
	"time"
)

// The types of events.
const (
	EventConnect    = "connect"
	EventDisconnect = "disconnect"
	EventOccupied   = "occupied" // a topic has its first subscriber
	EventVacated    = "vacated"  // a topic has no subscriber any more
)

// Event is one thing that has happened.
type Event struct {
	Type      string
	Time      time.Time
	Conn      string // connect, disconnect
	Sub       string // its subject; empty: it was not identified
	Transport string
	Address   string
	Reason    string // disconnect: why, in the words of the metrics
	Topic     string // occupied, vacated
}

// wireEvent is the document of an event. Its time is in milliseconds since 1970.
type wireEvent struct {
	Type      string `json:"type"`
	Time      int64  `json:"time"`
	Conn      string `json:"conn,omitempty"`
	Sub       string `json:"sub,omitempty"`
	Transport string `json:"transport,omitempty"`
	Address   string `json:"address,omitempty"`
	Reason    string `json:"reason,omitempty"`
	Topic     string `json:"topic,omitempty"`
}

// line is the JSON text of an event, without a line break.
func (e *Event) line() []byte {
	text, _ := json.Marshal(&wireEvent{e.Type, e.Time.UnixMilli(), e.Conn, e.Sub, e.Transport, e.Address, e.Reason, e.Topic}) // strings and a number: it cannot fail
	return text
}

// appendBatch is the body of a batch of lines. lost is how many events were dropped since the batch
// before.
func appendBatch(dst []byte, source string, number, lost uint64, lines [][]byte) []byte {
	dst = append(dst, `{"type":"events","source":`...)
	dst = strconv.AppendQuote(dst, source)
	dst = append(dst, `,"batch":`...)
	dst = strconv.AppendUint(dst, number, 10)
	dst = append(dst, `,"lost":`...)
	dst = strconv.AppendUint(dst, lost, 10)
	dst = append(dst, `,"events":[`...)
	for i, line := range lines {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, line...)
	}
	return append(dst, `]}`...)
}
