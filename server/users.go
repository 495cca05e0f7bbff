// The limit on the connections of one user, over all workers.

package server

import (
	"crypto/sha256"
	"encoding/binary"
	"time"

	"c100k/internal/auth"
	"c100k/internal/edge"
	"c100k/internal/quota"
	"c100k/netpoll"
)

var refusePerUser = (&edge.Refusal{Status: 429, Label: "per_user", Reason: "too many connections of this user (this node's --max-conns-per-user)"}).DecidedBy("--max-conns-per-user")

// userKey is the key of a subject in the table of limits. Keys of addresses have small numbers
// there.
func userKey(subject string) quota.Key {
	sum := sha256.Sum256([]byte(subject))
	return quota.Key{Hi: binary.BigEndian.Uint64(sum[:]), Lo: binary.BigEndian.Uint64(sum[8:]) | 1<<63}
}

// limitedUser tells whether the limit holds for a client.
func (s *Server) limitedUser(who *auth.Principal) bool {
	return s.cfg.MaxConnsPerUser > 0 && who != nil && who.Subject != ""
}

// enterUser counts one connection more of a client; false if that is one too many. Any goroutine.
func (s *Server) enterUser(who *auth.Principal) bool {
	if !s.limitedUser(who) {
		return true
	}
	_, outcome := s.quota.Enter(userKey(who.Subject), quota.Limit{Max: s.cfg.MaxConnsPerUser}, time.Time{})
	return outcome == quota.Entered
}

// admitUser is enterUser for a client that was identified before: its token may have been revoked
// meanwhile, and a connection that begins after the others were looked at would stay.
func (s *Server) admitUser(who *auth.Principal) *edge.Refusal {
	switch {
	case s.revocations.Revoked(who):
		return refuseRevoked
	case !s.enterUser(who):
		return refusePerUser
	}
	return nil
}

// leaveUser gives back what enterUser has counted. Any goroutine.
func (s *Server) leaveUser(who *auth.Principal) {
	if s.limitedUser(who) {
		s.quota.LeaveKey(userKey(who.Subject))
	}
}

// connEnded hears of each connection that ends. Loop only.
func (s *Server) connEnded(l *netpoll.Loop, c *netpoll.Conn, transport string, who *auth.Principal, reason netpoll.Reason) {
	s.noteEnd(l, c.ID(), c.Pending(), transport, who, reason)
	s.clientEnded(c, transport, who, reason)
}

// clientEnded gives back what the client of a connection counted for, and tells the backend. Loop
// only.
func (s *Server) clientEnded(c *netpoll.Conn, transport string, who *auth.Principal, reason netpoll.Reason) {
	s.leaveUser(who)
	if s.hooks.events != nil {
		s.ended(c, transport, who, reason)
	}
}
