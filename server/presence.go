// Presence: who is in a topic, for clients that ask and watch, and for the API.

package server

import (
	"errors"
	"slices"
	"strings"

	"c100k/broadcast"
	"c100k/internal/admin"
	"c100k/internal/auth"
	"c100k/internal/bus"
	"c100k/internal/edge"
	"c100k/internal/presence"
	"c100k/netpoll"
)

// presencePatternsMax bounds the patterns of Config.Presence: each topic that begins is matched
// against them.
const presencePatternsMax = 100

// The refusals of a stream of events that is to tell who is in a topic.
var (
	refuseNoMembers = &edge.Refusal{Status: 400, Label: "bad_topic", Reason: "the members of a topic of the query are not known (this node's --presence)"}
	refuseWatch     = &edge.Refusal{Status: 403, Label: "forbidden", Reason: "this client may not know who is in a topic of the query: it needs a token with the right presence"}
)

// errPresencePatterns refuses more.
var errPresencePatterns = errors.New("at most 100 patterns")

// attendance is the presence of a node: a broadcast.Members. A nil *attendance has none.
type attendance struct {
	s        *Server
	table    *presence.Table
	patterns []auth.Pattern
}

// presencePatterns reads the patterns of the configuration.
func presencePatterns(texts []string) (list []auth.Pattern, err error) {
	if len(texts) > presencePatternsMax {
		return nil, errPresencePatterns
	}
	for _, text := range texts {
		p, err := auth.ParsePublic(text)
		if err != nil {
			return nil, err
		}
		list = append(list, p)
	}
	return list, nil
}

// newAttendance reads the configuration, which has been validated; nil without presence.
func newAttendance(s *Server) *attendance {
	patterns, _ := presencePatterns(s.cfg.Presence)
	if len(patterns) == 0 {
		return nil
	}
	a := &attendance{s: s, patterns: patterns, table: presence.New(presence.Options{
		Publish: func(topic string, payload []byte) {
			_, _ = s.node.Hub().Publish(topic, broadcast.JSON, payload) // who is slow is told of a gap
		},
		Watched: func(topic string) bool { return s.node.Hub().Occupied(topic) },
		Now:     netpoll.Monotonic,
	})}
	s.marks = a.Wanted
	return a
}

// run keeps the table until the node has ended. The node is on the bus already.
func (a *attendance) run() {
	if a == nil {
		return
	}
	if a.s.others != nil {
		a.table.Connect(a.s.others.channels.Open(bus.KindPresence, a.table.Receive))
	}
	go a.table.Run(a.s.stopped)
}

// Wanted implements broadcast.Members.
func (a *attendance) Wanted(topic string) bool {
	return a != nil && !presence.Hidden(topic) && slices.ContainsFunc(a.patterns, func(p auth.Pattern) bool { return p.Match(topic, "") })
}

// Ask implements topicws.Presence.
func (a *attendance) Ask(topic, after string, watch bool, done func(presence.Page)) bool {
	return a.table.Ask(topic, after, watch, done)
}

// Room implements broadcast.Members.
func (a *attendance) Room() bool { return a.table.Room() }

// Joined implements broadcast.Members.
func (a *attendance) Joined(shard int, member uint32, topic string) {
	a.say(shard, member, topic, true)
}

// Left implements broadcast.Members.
func (a *attendance) Left(shard int, member uint32, topic string) {
	a.say(shard, member, topic, false)
}

func (a *attendance) say(shard int, member uint32, topic string, joined bool) {
	who, id, brief := a.s.node.Member(shard, member)
	if sio := a.s.loops[shard].sioClients; who == nil && len(sio) > 0 {
		who = sio[id]
	}
	a.table.Say(change(topic, who, joined, brief))
}

func change(topic string, who *auth.Principal, joined, brief bool) presence.Change {
	c := presence.Change{Topic: topic, Joined: joined, Brief: brief}
	if who != nil {
		c.Sub, c.Info = who.Subject, string(who.Info)
	}
	return c
}

// renamed is for a connection whose client shows another token, or its first one. Loop only.
func (a *attendance) renamed(shard *broadcast.Shard, c *netpoll.Conn, old, who *auth.Principal) {
	if a == nil {
		return
	}
	shard.Topics(c.Slot(), func(topic string) {
		if a.Wanted(topic) {
			a.table.Say(change(topic, who, true, false)) // first, so that nobody sees it leave
			a.table.Say(change(topic, old, false, false))
		}
	})
}

// mayWatch tells whether a client may know who is in a topic. Any goroutine.
func (s *Server) mayWatch(who *auth.Principal, topic string) bool {
	return s.may(who, auth.Presence, topic)
}

// readWatch takes the topics out of the query whose members the client asks for; those of each must
// be known, and open to this client.
func (b *beginning) readWatch(r *arrival) ([]string, *edge.Refusal) {
	topics, refusal := edge.QueryValues(nil, r.head.Query(), "watch")
	if refusal != nil {
		return nil, refusal
	}
	for _, topic := range topics {
		switch {
		case broadcast.ValidTopic(topic) != nil || broadcast.ValidTopic(presence.WatchTopic(topic)) != nil:
			return nil, refuseTopic
		case !b.attendance.Wanted(topic):
			return nil, refuseNoMembers
		case !b.mayWatch(r.who, topic):
			return nil, refuseWatch
		}
	}
	return topics, nil
}

// rightsOf are those that a right for a topic of watchers stands for: who may know the members of a
// topic may subscribe to what is said of them. ok is false where there is none.
func rightsOf(right auth.Right, topic string) (auth.Right, string, bool) {
	of, hidden := strings.CutPrefix(topic, presence.WatchPrefix)
	switch {
	case !hidden:
		return right, topic, true
	case right == auth.Subscribe:
		return auth.Presence, of, true
	}
	return 0, "", false
}

// Presence answers the API.
func (n adminNode) Presence(topic, after string) (admin.PresencePage, error) {
	if !n.attendance.Wanted(topic) {
		return admin.PresencePage{}, admin.ErrNoPresence
	}
	p := n.attendance.table.Page(topic, after)
	page := admin.PresencePage{Topic: topic, Count: p.Count, Members: make([]admin.PresenceMember, len(p.Members)), Next: p.Next}
	for i, m := range p.Members {
		page.Members[i] = admin.PresenceMember{Sub: m.Sub, Info: []byte(m.Info), Conns: m.Conns}
	}
	return page, nil
}
