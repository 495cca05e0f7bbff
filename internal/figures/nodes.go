// The figures of several nodes, which ask each other over the bus.

package figures

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"c100k/internal/bus"
)

const (
	// nodesTimeout bounds how long the others have to answer: a node that is busy needs some
	// milliseconds.
	nodesTimeout = 2 * time.Second

	// answersMax bounds the questions that a node reads its figures for at one time; more come from
	// somebody who asks in a loop, and are not answered.
	answersMax = 4

	// documentBytesMax bounds the document of another node, in bytes: 64 workers with 256 loops fit.
	documentBytesMax = 8 << 20
)

// Nodes is the document of all nodes on a bus.
type Nodes struct {
	Nodes []NodeReading `json:"nodes"` // that have answered, by name; this one is among them
	// Total has the sums over Nodes; what cannot be added is zero.
	Total *Reading `json:"total"`
	// Partial says that not all have answered, and Silent which ones, by name.
	Partial bool     `json:"partial"`
	Silent  []string `json:"silent"`
}

// NodeReading is the document of one node.
type NodeReading struct {
	Node  string   `json:"node"` // HOST/PID
	Stats *Reading `json:"stats"`
}

// nodeAnswer is what a node answers on the channel.
type nodeAnswer struct {
	Node  string          `json:"node"`
	Stats json.RawMessage `json:"stats"`
}

// Share opens the channel on which nodes ask each other for their figures. own reads those of this
// node, on any goroutine.
func Share(channels *bus.Channels, name string, own func() *Reading) *bus.Channel {
	var busy atomic.Int32
	return channels.Open(bus.KindFigures, func(_ uint64, _ []byte, answer func([]byte)) {
		if answer == nil {
			return
		}
		if busy.Add(1) > answersMax {
			busy.Add(-1)
			answer(nil)
			return
		}
		go func() {
			defer busy.Add(-1)
			stats, err := json.Marshal(own())
			var text []byte
			if err == nil {
				text, err = json.Marshal(nodeAnswer{Node: name, Stats: stats})
			}
			if err != nil {
				text = nil
			}
			answer(text)
		}()
	})
}

// ReadNodes asks all other nodes on c, and calls done once with what they have answered and own,
// the reading of this node. done runs on any goroutine.
func ReadNodes(c *bus.Channel, name string, own *Reading, done func(*Nodes)) {
	all := &Nodes{Nodes: []NodeReading{{name, own}}, Silent: []string{}}
	names := map[uint64]string{}
	for _, p := range c.Peers() {
		names[p.ID] = p.Name
	}
	err := c.Call(nil, nodesTimeout, func(replies []bus.Reply, silent []uint64) {
		for _, r := range replies {
			if n, err := readAnswer(r.Payload); err == nil {
				all.Nodes = append(all.Nodes, n)
			} else {
				silent = append(silent, r.From)
			}
		}
		for _, id := range silent {
			all.Silent = append(all.Silent, nodeName(names, id))
		}
		all.finish()
		done(all)
	})
	if err != nil { // no other node was asked
		for id := range names {
			all.Silent = append(all.Silent, nodeName(names, id))
		}
		all.finish()
		done(all)
	}
}

// Alone is the document of a node without others.
func Alone(name string, own *Reading) *Nodes {
	all := &Nodes{Nodes: []NodeReading{{name, own}}, Silent: []string{}}
	all.finish()
	return all
}

func nodeName(names map[uint64]string, id uint64) string {
	if name := names[id]; name != "" {
		return name
	}
	return strconv.FormatUint(id, 16)
}

// readAnswer reads the answer of another node, which may be one of another version.
func readAnswer(text []byte) (NodeReading, error) {
	if len(text) > documentBytesMax {
		return NodeReading{}, strconv.ErrRange
	}
	var a nodeAnswer
	if err := json.Unmarshal(text, &a); err != nil {
		return NodeReading{}, err
	}
	n := NodeReading{Node: a.Node, Stats: new(Reading)}
	return n, json.Unmarshal(a.Stats, n.Stats)
}

// finish sorts the lists and adds the figures up.
func (all *Nodes) finish() {
	slices.SortFunc(all.Nodes, func(x, y NodeReading) int { return strings.Compare(x.Node, y.Node) })
	slices.Sort(all.Silent)
	all.Partial = len(all.Silent) > 0
	all.Total = new(Reading)
	for _, n := range all.Nodes {
		all.Total.AddTotals(n.Stats)
		all.Total.AddPresent(n.Stats)
	}
}
