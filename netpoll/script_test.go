// A handler made of functions, for the tests of the loop.

package netpoll_test

import (
	"c100k/netpoll"
)

// script is a handler; what is nil does nothing.
type script struct {
	open     func(l *netpoll.Loop, c *netpoll.Conn)
	data     func(l *netpoll.Loop, c *netpoll.Conn, p []byte)
	timer    func(l *netpoll.Loop, c *netpoll.Conn)
	writable func(l *netpoll.Loop, c *netpoll.Conn)
	closed   func(l *netpoll.Loop, c *netpoll.Conn, r netpoll.Reason)
}

func (s *script) OnOpen(l *netpoll.Loop, c *netpoll.Conn) {
	if s.open != nil {
		s.open(l, c)
	}
}

func (s *script) OnData(l *netpoll.Loop, c *netpoll.Conn, p []byte) {
	if s.data != nil {
		s.data(l, c, p)
	}
}

func (s *script) OnTimer(l *netpoll.Loop, c *netpoll.Conn) {
	if s.timer != nil {
		s.timer(l, c)
	}
}

func (s *script) OnWritable(l *netpoll.Loop, c *netpoll.Conn) {
	if s.writable != nil {
		s.writable(l, c)
	}
}

func (s *script) OnClose(l *netpoll.Loop, c *netpoll.Conn, r netpoll.Reason) {
	if s.closed != nil {
		s.closed(l, c, r)
	}
}

func handlers(h ...netpoll.Handler) (table [netpoll.RolesMax]netpoll.Handler) {
	copy(table[:], h)
	return table
}

// echo answers with what it gets.
func echo() *script {
	return &script{data: func(l *netpoll.Loop, c *netpoll.Conn, p []byte) { l.SendTurn(c, p) }}
}
