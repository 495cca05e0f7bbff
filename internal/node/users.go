// The connections of clients that were identified: closed when their rights are taken back.

package node

import (
	"c100k/internal/auth"
	"c100k/internal/proto"
	"c100k/netpoll"
)

// Member is the client of a member of shard i (nil: it was not identified), the ID of its
// connection, and whether that is one of a proto.Brief. On the loop of the shard, for a
// broadcast.Members.
func (n *Node) Member(i int, member uint32) (who *auth.Principal, id netpoll.ID, brief bool) {
	r := n.reactors[i]
	c := r.loop.RecordAt(member)
	if c == nil {
		return nil, 0, false
	}
	if p, ok := r.protocols.At(c.Role()).(proto.Identified); ok && c.Session() != 0 {
		who = p.Who(c)
	}
	return who, c.ID(), r.protocols.Brief(c.Role())
}

// Revoke ends the connections whose principal matches says it of: as revoked, or with kick as
// closed by an operator. It returns at once. matches is called on the loops, for each connection
// whose client was identified, and must not block. A false result means that a loop was too busy:
// try again. Any goroutine.
func (n *Node) Revoke(kick bool, matches func(*auth.Principal) bool) bool {
	all := true
	for _, r := range n.reactors {
		all = r.loop.Remote().Post(func(l *netpoll.Loop) { r.revoke(l, kick, matches) }) && all
	}
	return all
}

func (r *reactor) revoke(l *netpoll.Loop, kick bool, matches func(*auth.Principal) bool) {
	l.Each(func(c *netpoll.Conn) bool {
		if c.Closing() || c.Session() == 0 {
			return true
		}
		switch p := r.protocols.At(c.Role()).(type) {
		case proto.RevocableEach:
			p.RevokeEach(l, c, kick, matches)
		case proto.Revocable:
			switch who := p.Who(c); {
			case who == nil || !matches(who):
			case kick:
				r.kick(l, c)
			default:
				p.Revoke(l, c)
			}
		}
		return true
	})
}
