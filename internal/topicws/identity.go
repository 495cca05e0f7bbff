// Who a connection speaks for: tokens that are shown on it, and the end of its rights.

package topicws

import (
	"slices"

	"c100k/frame"
	"c100k/internal/auth"
	"c100k/internal/history"
	"c100k/netpoll"
)

// heldCommands are those that came while a token of their connection is verified.
type heldCommands struct {
	list  [][]byte
	bytes int
}

// postpone keeps a command for later.
func (h *Handler) postpone(l *netpoll.Loop, c *netpoll.Conn, p []byte) {
	held := h.held[c.Session()]
	if held == nil {
		if h.held == nil {
			h.held = map[uint32]*heldCommands{}
		}
		held = &heldCommands{}
		h.held[c.Session()] = held
	}
	if held.bytes += len(p); len(held.list) == HeldCommandsMax || held.bytes > HeldBytesMax {
		h.End(l, c, netpoll.ReasonPolicy, frame.CodePolicy, "too many commands before the token was verified")
		return
	}
	held.list = append(held.list, slices.Clone(p)) // it lies in the read arena
}

// identify asks who shows the token of a connect or refresh command. The answer comes later, or
// has come when it returns.
func (h *Handler) identify(l *netpoll.Loop, c *netpoll.Conn, s *session, cmd *Command, first bool) Refusal {
	who := h.cfg.WebSocket.Principals.At(s.Principal())
	connect := cmd.Verb == VerbConnect
	switch {
	case connect && who != nil:
		return refuse(CodeBadRequest, `this connection has a token: "refresh" renews it`, nil)
	case connect && !first:
		return refuse(CodeBadRequest, `"connect" must be the first message`, nil)
	case !connect && who == nil:
		return refuse(CodeBadRequest, `this connection has no token to refresh: "connect" must be the first message`, nil)
	case h.cfg.Identify == nil:
		return refuse(CodeUnauthorized, "this node takes no tokens", nil)
	}
	s.flags |= flagAsked
	id := slices.Clone(cmd.ID)
	h.cfg.Identify(l, c, cmd.Token, func(l *netpoll.Loop, c *netpoll.Conn, who *auth.Principal, reason string) {
		if !c.Closing() {
			h.identified(l, c, id, who, reason, connect)
		}
	})
	if s.flags&flagAsked != 0 {
		l.Arm(c, IdentifyTimeout) // and then again the heartbeat
	}
	return Refusal{}
}

// identified goes on with a connection whose token is judged.
func (h *Handler) identified(l *netpoll.Loop, c *netpoll.Conn, id []byte, who *auth.Principal, reason string, connect bool) {
	s := h.sessions.At(c.Session())
	s.flags &^= flagAsked
	old := h.cfg.WebSocket.Principals.At(s.Principal())
	switch {
	case who == nil && reason == "":
		reason = "the token is not valid"
	case who != nil && old != nil && who.Subject != old.Subject:
		h.refuse(l, c, id, refuse(CodeForbidden, "the token is for another subject, and this connection stays with its own", nil))
	}
	switch {
	case who == nil:
		h.refuse(l, c, id, refuse(CodeUnauthorized, reason, nil))
		if connect {
			// A token that is not valid does not make an anonymous connection.
			h.End(l, c, netpoll.ReasonPolicy, auth.CloseExpired, "token not valid")
			return
		}
	case old == nil:
		if h.cfg.Enter != nil {
			if reason := h.cfg.Enter(who); reason != "" {
				h.End(l, c, netpoll.ReasonPolicy, frame.CodePolicy, reason)
				return
			}
		}
		h.Speak(l, c, who)
		h.renamed(c, nil, who)
		h.accept(l, c, s, id, who)
		h.joinOwn(l, c, s, who)
	case who.Subject == old.Subject:
		h.Speak(l, c, who)
		h.renamed(c, old, who)
		s.flags &^= flagWarned
		h.accept(l, c, s, id, who)
		h.withdraw(l, c, s, who)
	}
	h.release(l, c, s)
}

func (h *Handler) renamed(c *netpoll.Conn, old, who *auth.Principal) {
	if h.cfg.Renamed != nil {
		h.cfg.Renamed(c, old, who)
	}
}

// refuse answers a command with an error.
func (h *Handler) refuse(l *netpoll.Loop, c *netpoll.Conn, id []byte, no Refusal) {
	h.reply = AppendError(h.reply[:0], id, no)
	h.Reply(l, c, h.reply)
}

// accept answers a command whose token is valid.
func (h *Handler) accept(l *netpoll.Loop, c *netpoll.Conn, s *session, id []byte, who *auth.Principal) {
	h.reply = AppendIdentified(h.reply[:0], id, who.End())
	h.Reply(l, c, h.reply)
	h.limit(l, c, s)
}

// joinOwn subscribes to the topics that the client joins.
func (h *Handler) joinOwn(l *netpoll.Loop, c *netpoll.Conn, s *session, who *auth.Principal) {
	for _, topic := range who.AppendJoin(nil) {
		if _, err := h.join(l, c, s, topic, history.From{}); err != nil {
			h.refuse(l, c, nil, refusalOf(err))
			break
		}
	}
	h.forgetBegun()
}

// withdraw ends the subscriptions that the new token does not allow.
func (h *Handler) withdraw(l *netpoll.Loop, c *netpoll.Conn, s *session, who *auth.Principal) {
	joined := who.AppendJoin(nil)
	var lost []string
	h.cfg.WebSocket.Shard.Topics(c.Slot(), func(topic string) {
		if !h.maySubscribe(s, topic) && !slices.Contains(joined, topic) {
			lost = append(lost, topic)
		}
	})
	for _, topic := range lost {
		h.cfg.WebSocket.Shard.Unsubscribe(c.Slot(), topic)
		h.refuse(l, c, nil, refuse(CodeForbidden, "the new token does not allow the subscription to", []byte(topic)))
	}
}

// release obeys the commands that have waited.
func (h *Handler) release(l *netpoll.Loop, c *netpoll.Conn, s *session) {
	held := h.held[c.Session()]
	if held == nil {
		return
	}
	for len(held.list) > 0 && s.flags&flagAsked == 0 && !c.Closing() {
		p := held.list[0]
		held.list, held.bytes = held.list[1:], held.bytes-len(p)
		h.obey(l, c, s, p)
	}
	if len(held.list) == 0 {
		delete(h.held, c.Session())
	}
}

// OnTimer is the heartbeat, and the end of the client's rights if that comes first.
func (h *Handler) OnTimer(l *netpoll.Loop, c *netpoll.Conn) {
	s := h.sessions.At(c.Session())
	if s.flags&flagAsked != 0 {
		h.End(l, c, netpoll.ReasonTimeout, frame.CodeTryLater, "the token was not verified in time")
		return
	}
	if h.Expire(l, c) {
		return
	}
	if who := h.Who(c); who != nil && who.Expires != 0 && s.flags&(flagWarned|flagBare) == 0 && l.Now() >= who.Expires-auth.ExpiringBefore {
		s.flags |= flagWarned
		h.reply = AppendExpiring(h.reply[:0], who.ExpiresAt)
		h.Reply(l, c, h.reply)
	}
	if h.cfg.WebSocket.PingInterval > 0 {
		h.Heartbeat(l, c)
	}
	h.limit(l, c, s)
}

// limit has the connection looked at when its rights end, if no deadline comes before that.
func (h *Handler) limit(l *netpoll.Loop, c *netpoll.Conn, s *session) {
	h.Limit(l, c, s.flags&(flagWarned|flagBare) != 0)
}
